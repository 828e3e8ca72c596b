import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import type { SiteDetail } from '../../core/model/view.ts';
import { createNetwork } from '../../demo/network.ts';
import { Collector, Hub } from '../parts/hub.ts';
import { NODE, ROOT, type Running, run, until } from '../parts/process.ts';

const HUB = 1;
const PEER = 20;
const PEER_PORT = 8080;
const SITES = { lossy: 11, failing: 12, offline: 13, tiny: 14 } as const;
type SiteName = keyof typeof SITES;
const NAMES: readonly SiteName[] = ['lossy', 'failing', 'offline', 'tiny'];

/** Four collectors, a hub and a peer, each a process in a namespace of its own, on one bridge. */
export class Fleet {
  readonly network = createNetwork();
  readonly hub: Hub;
  readonly collectors = new Map<SiteName, Collector>();
  readonly #extra: Running[] = [];
  #peer: Running | null = null;
  readonly #peerNamespace: string;
  readonly #failing: string;

  constructor() {
    const namespace = this.network.host('hub', HUB);
    this.#peerNamespace = this.network.host('peer', PEER);
    this.hub = new Hub({ namespace, listen: `${this.network.addressOf(HUB)}:7117` });
    this.#failing = join(this.hub.dataDir, 'peer-fails');
  }

  async start(hubEnv: Record<string, string> = {}): Promise<void> {
    await this.startPeer();
    await this.hub.start(hubEnv);
    for (const name of NAMES) {
      const namespace = this.network.host(name, SITES[name]);
      const token = await this.hub.addSite(name, { env: name === 'tiny' ? 'prod' : 'test' });
      const config = join(this.hub.dataDir, `${name}.yaml`);
      writeFileSync(
        config,
        `interval: 1s\nlinks:\n  - {name: peer, url: "http://${this.network.addressOf(PEER)}:${PEER_PORT}/"}\n`,
      );
      const env = name === 'tiny' ? { PLUMBLINE_SPOOL_MAX_SIZE: '30kB' } : undefined;
      const collector = new Collector(token, { namespace, config, ...(env && { env }) });
      this.collectors.set(name, collector);
      collector.start();
    }
  }

  async startPeer(): Promise<void> {
    const peer = run(
      [NODE, `${ROOT}test/parts/peer.js`, this.#failing, this.network.addressOf(PEER), String(PEER_PORT)],
      { namespace: this.#peerNamespace },
    );
    this.#peer = peer;
    await until('the peer listens', () => peer.output().includes('listening'));
  }
  async stopPeer(): Promise<void> {
    await this.#peer?.kill('SIGKILL');
  }
  peerFails(fails: boolean): void {
    if (fails) writeFileSync(this.#failing, '');
    else rmSync(this.#failing, { force: true });
  }
  /** A process that is ended with the fleet. */
  alongside(command: readonly string[]): Running {
    const running = run(command);
    this.#extra.push(running);
    return running;
  }

  /** Waits until a site's detail satisfies the condition; the error shows what it was last. */
  async see(
    name: string,
    what: string,
    condition: (detail: SiteDetail) => boolean,
    withinMs = 60_000,
  ): Promise<SiteDetail> {
    let last: SiteDetail | null = null;
    return until(
      `${name}: ${what}`,
      async () => {
        last = await this.hub.site(name);
        return condition(last) && last;
      },
      withinMs,
      () => `${JSON.stringify(last, null, 1)}\n${this.#collectorOf(name)?.output().slice(-2000)}`,
    );
  }

  #collectorOf(name: string): Collector | undefined {
    return [...this.collectors].find(([site]) => site === name)?.[1];
  }

  async remove(): Promise<void> {
    for (const running of this.#extra) await running.kill('SIGKILL');
    for (const collector of this.collectors.values()) await collector.remove();
    await this.stopPeer();
    await this.hub.remove();
    this.network.remove();
  }
}

function penalty(detail: SiteDetail, id: string, subject: string) {
  return detail.explanation.components
    .flatMap(({ penalties }) => penalties)
    .find((each) => each.id === id && each.subject === subject);
}
function connectivity(detail: SiteDetail): number {
  return (
    detail.explanation.components.find(({ component }) => component === 'connectivity')?.score ?? Number.NaN
  );
}

/** Every site is heard, with its links up and nothing held against them. */
async function allHealthy(fleet: Fleet): Promise<void> {
  for (const name of NAMES)
    await fleet.see(
      name,
      'heard, all links up, connectivity 100',
      (detail) =>
        detail.site.freshness === 'heard' && detail.site.links.up === 2 && connectivity(detail) === 100,
    );
}

async function lossIsSeen(fleet: Fleet): Promise<void> {
  fleet.network.nft(
    'lossy',
    `table inet loss {\n chain out {\n type filter hook output priority 0;\n tcp flags syn tcp dport ${PEER_PORT} numgen random mod 100 < 30 drop\n }\n}\n`,
  );
  const lossy = await fleet.see('lossy', 'loses requests on its link', (detail) => {
    const found = penalty(detail, 'link-loss', 'peer');
    return found !== undefined && found.points >= 10;
  });
  const found = penalty(lossy, 'link-loss', 'peer');
  expect(found?.observed).toMatch(/%/);
  expect(connectivity(lossy)).toBeLessThanOrEqual(100 - (found?.points ?? 0) + 0.5);
  const neighbour = await fleet.hub.site('failing');
  expect(penalty(neighbour, 'link-loss', 'peer')).toBeUndefined();
  fleet.network.nft('lossy', 'delete table inet loss');
  await fleet.see('lossy', 'recovers', (detail) => connectivity(detail) === 100, 120_000);
}

async function failingPeerIsSeen(fleet: Fleet): Promise<void> {
  fleet.peerFails(true);
  const failing = await fleet.see(
    'failing',
    'counts errors on a link that is up',
    (detail) => (penalty(detail, 'link-errors', 'peer')?.points ?? 0) >= 30,
  );
  expect(failing.site.links.up).toBe(2);
  expect(penalty(failing, 'link-loss', 'peer')).toBeUndefined();
  expect(penalty(failing, 'link-errors', 'peer')?.points).toBeGreaterThan(0);
  fleet.peerFails(false);
  await fleet.see('failing', 'recovers', (detail) => connectivity(detail) === 100, 120_000);
}

async function gonePeerIsSeen(fleet: Fleet): Promise<void> {
  await fleet.stopPeer();
  const gone = await fleet.see(
    'failing',
    'shows the link down',
    (detail) => detail.site.links.up === 1 && penalty(detail, 'link-down', 'peer') !== undefined,
  );
  expect(gone.site.state).not.toBe('green');
  await fleet.startPeer();
  await fleet.see(
    'failing',
    'recovers',
    (detail) => detail.site.links.up === 2 && connectivity(detail) === 100,
    120_000,
  );
}

/** Busy seconds of all CPUs since the kernel started, as the collector counts them: everything but idle and iowait. */
function busySeconds(): number {
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] =
    readFileSync('/proc/stat', 'utf8').split('\n')[0]?.trim().split(/\s+/).slice(1).map(Number) ?? [];
  return (user + nice + system + irq + softirq + steal) / 100;
}
function availableBytes(): number {
  return Number(/MemAvailable:\s+(\d+) kB/.exec(readFileSync('/proc/meminfo', 'utf8'))?.[1]) * 1024;
}
type HostPart = { cpu: { busyS: number; utilization: number }; memory: { availableBytes: number } };
function hostOf(detail: SiteDetail): HostPart {
  // cast: the report's schema is checked where it enters; here its host part is read back
  return (detail.report as { host: HostPart }).host;
}

async function loadIsSeen(fleet: Fleet): Promise<void> {
  const before = hostOf(await fleet.hub.site('lossy'));
  const HELD = 600_000_000;
  const burner = fleet.alongside([
    NODE,
    '-e',
    `const held = Buffer.alloc(${HELD}, 1); console.log('burning'); for (;;) held[0]++;`,
  ]);
  await until('the load runs', () => burner.output().includes('burning'));
  const loaded = await fleet.see(
    'lossy',
    'sees memory taken',
    (detail) => hostOf(detail).memory.availableBytes < before.memory.availableBytes - HELD * 0.7,
  );
  const atLeast = busySeconds();
  const later = await fleet.see(
    'lossy',
    'counts CPU time as the kernel does',
    (detail) => hostOf(detail).cpu.busyS >= atLeast,
  );
  expect(hostOf(later).cpu.busyS).toBeLessThanOrEqual(busySeconds() + 0.1);
  expect(hostOf(later).cpu.utilization).toBeGreaterThan(0.4);
  expect(Math.abs(hostOf(loaded).memory.availableBytes - availableBytes())).toBeLessThan(400_000_000);
  await burner.kill('SIGKILL');
  await fleet.see(
    'lossy',
    'sees memory given back',
    (detail) => hostOf(detail).memory.availableBytes > before.memory.availableBytes - HELD * 0.5,
  );
}

type Ledger = {
  sent: number;
  stored: number;
  pending: number;
  gaps: number;
  missing: number;
  quarantined: number;
};
async function ledgerOf(fleet: Fleet, name: string): Promise<Ledger> {
  const found = (await fleet.hub.doctor()).sites.find(({ site }) => site === name);
  if (found === undefined) throw new Error(`the ledger has no line for ${name}`);
  return found;
}
function seqOf(detail: SiteDetail): number {
  // cast: see hostOf
  return (detail.report as { seq: number }).seq;
}

/** Cuts a site off until its hub calls it silent and longer, then watches it come back. */
async function cutOff(fleet: Fleet, name: SiteName, reports: number): Promise<{ before: number }> {
  const before = seqOf(await fleet.hub.site(name));
  const cutAt = performance.now();
  fleet.network.cable(name, false);
  await fleet.see(
    name,
    'is silent',
    (detail) => detail.site.freshness === 'silent' && detail.site.state === 'unknown',
  );
  await until('long enough', () => performance.now() - cutAt > reports * 1000, reports * 1000 + 10_000);
  fleet.network.cable(name, true);
  return { before };
}

async function outageIsCaughtUp(fleet: Fleet): Promise<void> {
  const { before } = await cutOff(fleet, 'offline', 15);
  let newest = before;
  const settled = await until(
    'offline: everything held has arrived',
    async () => {
      const seq = seqOf(await fleet.hub.site('offline'));
      expect(seq, 'live state never goes back').toBeGreaterThanOrEqual(newest);
      newest = seq;
      const ledger = await ledgerOf(fleet, 'offline');
      return seq > before + 15 && ledger.pending === 0 && ledger.missing === 0 && ledger;
    },
    90_000,
    () => fleet.collectors.get('offline')?.output().slice(-3000) ?? '',
  );
  expect(settled).toMatchObject({ gaps: 0, missing: 0, quarantined: 0 });
  expect(settled.stored).toBe(settled.sent);
  await until('offline: its silence and its return are told', async () => {
    const { items } = await fleet.hub.get<{ items: { kind: string }[] }>(
      '/api/v1/events?site=offline&limit=100',
    );
    const kinds = items.map(({ kind }) => kind);
    return kinds.includes('site.silent') && kinds.includes('site.recovered');
  });
}

async function droppedRangeIsAGap(fleet: Fleet): Promise<void> {
  await cutOff(fleet, 'tiny', 45);
  const ledger = await until(
    'tiny: what it dropped is a gap, the rest arrived',
    async () => {
      const found = await ledgerOf(fleet, 'tiny');
      return found.gaps > 0 && found.pending === 0 && found.missing === 0 && found;
    },
    90_000,
    () => fleet.collectors.get('tiny')?.output().slice(-3000) ?? '',
  );
  expect(ledger.stored + ledger.gaps + ledger.quarantined).toBe(ledger.sent);
  const { items } = await fleet.hub.get<{ items: { kind: string; message: string }[] }>(
    '/api/v1/events?site=tiny&limit=100',
  );
  expect(items.filter(({ kind }) => kind === 'site.gap').length).toBeGreaterThan(0);
}

async function doctorIsWell(fleet: Fleet): Promise<void> {
  const { totals } = await fleet.hub.doctor();
  expect(totals.missing).toBe(0);
  expect(totals.sent).toBe(
    totals.stored + totals.quarantined + totals.pending + totals.gaps + totals.missing,
  );
}

/** The story, in order: each chapter leaves the fleet as it found it. */
export function chapters(fleet: () => Fleet): void {
  it('shows every site healthy within moments', () => allHealthy(fleet()));
  it('sees 30% loss on a link, charges for it, and sees it recover', () => lossIsSeen(fleet()));
  it('tells a peer that answers 500 from one that does not answer', () => failingPeerIsSeen(fleet()));
  it('sees a peer that is gone, and its return', () => gonePeerIsSeen(fleet()));
  it('shows real load as the kernel counts it', () => loadIsSeen(fleet()));
  it('catches up after an outage without a gap and never moves live state back', () =>
    outageIsCaughtUp(fleet()));
  it('shows exactly what a full spool dropped as a gap', () => droppedRangeIsAGap(fleet()));
  it('accounts for every report', () => doctorIsWell(fleet()));
}
