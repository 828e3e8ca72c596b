import { Compile } from 'typebox/compile';
import { afterEach, describe, expect, it } from 'vitest';
import type { Lane } from '../../core/channel.ts';
import { Report } from '../../core/model/report.ts';
import type { PolicyLink } from '../../core/ports/policy-link.ts';
import type { SendOutcome, Uplink } from '../../core/ports/uplink.ts';
import { keyFrom, sealIsValid, splitSealed } from '../../core/seal.ts';
import { createFleet, type Fleet, type FleetOptions, type JoinedSite } from '../../simulator/fleet.ts';
import { type RunOptions, runSimulation } from '../../simulator/run.ts';

const NOON = Date.UTC(2026, 0, 15, 12);
const KEY = Buffer.alloc(32, 7);
const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const reportValidator = Compile(Report);

/** A clock that stands still until told, and a hub that keeps what it is sent. */
function stand() {
  let ms = 0;
  const received: { site: string; lane: Lane; report: Report }[] = [];
  const away = new Set<string>();
  const stopped = new Set<string>();
  const turns = new Set<() => void>();
  const clock = { nowMs: () => NOON + ms, monoMs: () => ms };
  function connect({ site }: { site: string }): Uplink & PolicyLink {
    let started = false;
    return {
      async start() {
        started = true;
      },
      async send(lane, reports): Promise<SendOutcome> {
        if (away.has(site)) return { ok: false, code: 'away' };
        for (const sealed of reports) {
          const parts = splitSealed(sealed);
          if (parts === null || !sealIsValid(keyFrom(KEY), parts)) throw new Error('not sealed');
          const report: unknown = JSON.parse(Buffer.from(parts.json).toString('utf8'));
          if (!reportValidator.Check(report))
            throw new Error(JSON.stringify(reportValidator.Errors(report)[0]));
          received.push({ site, lane, report });
        }
        return { ok: true };
      },
      get ready() {
        return started && !away.has(site);
      },
      onReady() {},
      listen() {},
      tell() {},
      confirm: async () => ({ ok: true }),
      offsetMs: () => 25,
      backfillPerS: () => 20,
      trouble: () => null,
      async stop() {
        stopped.add(site);
      },
    };
  }
  return {
    received,
    away,
    stopped,
    clock,
    connect,
    every(run: () => void) {
      turns.add(run);
      return () => turns.delete(run);
    },
    /** Lets time pass in steps, a turn and all that follows from it in each. */
    async pass(byMs: number, stepMs = 100) {
      for (let leftMs = byMs; leftMs > 0; leftMs -= stepMs) {
        ms += Math.min(stepMs, leftMs);
        for (const turn of turns) turn();
        await new Promise((resolve) => setImmediate(resolve));
      }
    },
  };
}

const fleets: Fleet[] = [];
afterEach(async () => {
  for (const fleet of fleets.splice(0)) await fleet.stop();
});

type Stand = ReturnType<typeof stand>;
type Options = FleetOptions<JoinedSite>;

async function startFleet({ clock, connect, every }: Stand, count: number, part: Partial<Options> = {}) {
  const fleet = createFleet({
    sites: Array.from({ length: count }, (_, i) => ({ site: `s-${i}`, key: KEY, labels: {} })),
    createAgent: null,
    traffic: () => [],
    seed: 42,
    intervalMs: 1_000,
    incidents: [],
    connect,
    clock,
    every,
    logger: quiet,
    version: '0.1.0',
    ...part,
  });
  fleets.push(fleet);
  await fleet.start();
  return fleet;
}

describe('a fleet', () => {
  it('sends a valid sealed report of each site each interval, spread over it', async () => {
    const hub = stand();
    const fleet = await startFleet(hub, 20);
    await hub.pass(5_000, 50);
    expect(hub.received.length).toBeGreaterThanOrEqual(90);
    const { sent, acked, held, connected } = fleet.stats();
    expect({ acked: acked + held, connected }).toEqual({ acked: sent, connected: 20 });
    const seqs = hub.received.filter(({ site }) => site === 's-3').map(({ report }) => report.seq);
    expect(seqs).toEqual(seqs.map((_, i) => i + 1));
    const offsets = new Set(hub.received.map(({ report }) => report.ts % 1_000));
    expect(offsets.size).toBeGreaterThan(10);
    expect(hub.received.every(({ report }) => report.kind === 'simulated')).toBe(true);
  });

  it('is described under the names that real hosts use, and is marked as simulated', async () => {
    const hub = stand();
    await startFleet(hub, 20);
    await hub.pass(2_000);
    for (const { report } of hub.received) {
      const { provider, ...rest } = report.discovered;
      expect(Object.keys(rest).sort()).toEqual([
        'arch',
        'cpus',
        'kernel',
        'os',
        'os-version',
        'virtualization',
      ]);
      expect(rest).toMatchObject({
        cpus: String(report.host?.cpu.count),
        kernel: expect.stringMatching(/-simulated$/),
      });
      expect([undefined, 'aws', 'gcp', 'azure']).toContain(provider);
    }
  });

  it('is the same again for the same seed, and another for another', async () => {
    const observe = async (seed: number) => {
      const hub = stand();
      const fleet = await startFleet(hub, 3, { seed });
      await hub.pass(4_000);
      await fleet.stop();
      return hub.received
        .filter(({ site, report }) => site === 's-1' && report.seq <= 3)
        .map(({ report }) => [
          report.boot,
          report.host?.cpu.count,
          report.host?.memory.utilization,
          report.links,
        ]);
    };
    const [first, again, other] = [await observe(1), await observe(1), await observe(2)];
    expect(again).toEqual(first);
    expect(other).not.toEqual(first);
  });

  it('holds what an unreachable hub does not take, catches up by the slow lane, and accounts for all', async () => {
    const hub = stand();
    const fleet = await startFleet(hub, 1);
    await hub.pass(3_000);
    const before = hub.received.length;
    hub.away.add('s-0');
    await hub.pass(10_000);
    expect(fleet.stats().held).toBe(10);
    hub.away.clear();
    await hub.pass(3_000);
    expect(fleet.stats().held).toBe(0);
    const back = hub.received.slice(before);
    expect(back[0]?.lane).toBe('live');
    expect(back[1]?.lane).toBe('backfill');
    expect(back[0]?.report.held.seq).toBe(before + 1);
    const seqs = hub.received.map(({ report }) => report.seq).sort((a, b) => a - b);
    expect(seqs).toEqual(seqs.map((_, i) => i + 1));
    expect(fleet.stats().dropped).toBe(0);
  });

  it('says what its bound made it drop until that is acknowledged', async () => {
    const hub = stand();
    const fleet = await startFleet(hub, 1);
    await hub.pass(2_000);
    const before = hub.received.length;
    hub.away.add('s-0');
    await hub.pass(400_000, 1_000);
    expect(fleet.stats()).toMatchObject({ held: 360, dropped: 40 });
    hub.away.clear();
    await hub.pass(30_000, 1_000);
    expect(fleet.stats().held).toBe(0);
    const dropped = fleet.stats().dropped;
    const [first] = hub.received.slice(before);
    expect(first?.report.dropped).toEqual([
      { boot: first?.report.boot, from: before + 1, to: before + dropped },
    ]);
    expect(first?.report.held.seq).toBe(before + dropped + 1);
    expect(hub.received.at(-1)?.report.dropped).toEqual([]);
    const { sent, acked } = fleet.stats();
    expect(sent).toBe(acked + dropped);
  });

  it('reports turns that its process missed', async () => {
    const hub = stand();
    await startFleet(hub, 2);
    await hub.pass(2_000);
    await hub.pass(5_500, 5_500);
    expect(hub.received.at(-1)?.report.missed).toBe(5);
    expect(hub.received[0]?.report.missed).toBe(0);
  });

  it('stops every uplink', async () => {
    const hub = stand();
    const fleet = await startFleet(hub, 5);
    await fleet.stop();
    await fleet.stop();
    expect(hub.stopped.size).toBe(5);
  });
});

describe('incidents', () => {
  const all = (kind: 'link' | 'memory' | 'silence' | 'clock') => [{ kind, share: 1, atS: 5, forS: 10 }];

  it('make a link lose requests, and then all of them', async () => {
    const hub = stand();
    await startFleet(hub, 1, { incidents: all('link') });
    await hub.pass(17_000);
    const failing = hub.received.flatMap(({ report }) => report.links ?? []).filter(({ up }) => !up);
    expect(failing.length).toBeGreaterThan(0);
    const [early] = hub.received;
    expect(early?.report.links?.every(({ up }) => up)).toBe(true);
    for (const { report } of hub.received)
      for (const one of report.links ?? []) expect(one.losses + one.errors).toBeLessThanOrEqual(one.requests);
  });

  it('fill the memory', async () => {
    const hub = stand();
    await startFleet(hub, 1, { incidents: all('memory') });
    await hub.pass(20_000);
    const used = hub.received.map(({ report }) => report.host?.memory.utilization ?? 0);
    expect(Math.max(...used)).toBeGreaterThan(0.93);
    expect(used.at(-1)).toBeLessThan(0.85);
  });

  it('silence a site, which catches up afterwards', async () => {
    const hub = stand();
    const fleet = await startFleet(hub, 1, { incidents: all('silence') });
    await hub.pass(20_000);
    expect(fleet.stats().held).toBe(0);
    const backfilled = hub.received.filter(({ lane }) => lane === 'backfill');
    expect(backfilled.length).toBeGreaterThanOrEqual(8);
  });

  it('put a clock off by hours without moving the corrected time', async () => {
    const hub = stand();
    await startFleet(hub, 1, { incidents: all('clock') });
    await hub.pass(9_000);
    const late = hub.received.at(-1)?.report;
    expect(late?.clockOffsetMs).toBe(25 - 7_200_000);
    expect(Math.abs((late?.ts ?? 0) - NOON - 25 - 9_000)).toBeLessThanOrEqual(1_000);
  });
});

describe('a simulation', () => {
  function run(hub: Stand, part: Partial<RunOptions<JoinedSite>>) {
    return runSimulation({
      createAgent: null,
      traffic: () => [],
      sites: 70,
      seed: 3,
      intervalMs: 1_000,
      incidents: [],
      connect: hub.connect,
      clock: hub.clock,
      logger: quiet,
      version: '0.1.0',
      forMs: null,
      signal: new AbortController().signal,
      onProgress() {},
      register: async (site, labels) => ({ ok: true, joined: { site, key: KEY, labels } }),
      ...part,
    });
  }

  it('registers at most 32 sites at once, labelled as simulated, and ends when told', async () => {
    const hub = stand();
    const ending = new AbortController();
    let atOnce = 0;
    let most = 0;
    const labels: Record<string, string>[] = [];
    const result = await run(hub, {
      signal: ending.signal,
      register: async (site, given) => {
        labels.push(given);
        most = Math.max(most, ++atOnce);
        await new Promise((resolve) => setTimeout(resolve, 1));
        atOnce--;
        return { ok: true, joined: { site, key: KEY, labels: given } };
      },
      onProgress: (progress) => {
        if ('registered' in progress && progress.registered === 70) setTimeout(() => ending.abort(), 20);
      },
    });
    expect(result.ok).toBe(true);
    expect(most).toBe(32);
    expect(labels).toHaveLength(70);
    expect(labels.every(({ simulated }) => simulated === 'true')).toBe(true);
    expect(new Set(labels.map(({ env }) => env))).toEqual(new Set(['test', 'prod']));
    expect(hub.stopped.size).toBe(70);
  });

  it('ends with the first refusal', async () => {
    const refused = { ok: false as const, code: 'forbidden', detail: 'not for you' };
    expect(await run(stand(), { register: async () => refused })).toEqual(refused);
  });
});
