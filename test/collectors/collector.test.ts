import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Compile } from 'typebox/compile';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createGatewayUplink } from '../../adapters/gateway/uplink.ts';
import { openSpool } from '../../adapters/sqlite/spool.ts';
import { type Collector, type CollectorOptions, createCollector } from '../../collectors/collector.ts';
import type { Lane } from '../../core/channel.ts';
import { Report } from '../../core/model/report.ts';
import { systemClock } from '../../core/ports/clock.ts';
import type { Observation, Probe } from '../../core/ports/probe.ts';
import type { Spool } from '../../core/ports/spool.ts';
import { keyFrom, sealIsValid, splitSealed } from '../../core/seal.ts';
import { type HubSide, startHubSide } from '../adapters/gateway/hub-side.ts';
import { policyReport, policyStatus } from '../parts/policy-report.ts';

const validator = Compile(Report);
const key = randomBytes(32);
const site = 'jp-tokyo-1';
const quiet = { debug() {}, info() {}, warn() {}, error() {} };
let dir: string;
let hub: HubSide;
let running: { collector: Collector; spool: Spool }[];

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'plumbline-collector-'));
  running = [];
  hub = await startHubSide({ key, site });
});
afterEach(async () => {
  for (const each of running) await stop(each);
  await hub.stop();
  rmSync(dir, { recursive: true });
});

type Site = { collector: Collector; spool: Spool };

async function start(
  options: Partial<CollectorOptions> = {},
  bounds: { maxBytes?: number } = {},
): Promise<Site> {
  const spool = openSpool({ path: join(dir, 'spool.sqlite'), ...bounds });
  await spool.start();
  const uplink = createGatewayUplink({
    url: hub.url,
    site,
    key,
    ca: null,
    instance: 'instance-1',
    clock: systemClock,
    logger: quiet,
    timing: { backoffMinMs: 20, backoffMaxMs: 60 },
  });
  const collector = createCollector({
    site,
    kind: 'host',
    key,
    version: '0.0.0',
    intervalMs: 100,
    probes: [],
    spool,
    uplink,
    proposed: { team: 'shop' },
    clock: systemClock,
    logger: quiet,
    ...options,
  });
  running.push({ collector, spool });
  // A hub that can be reached is, however long that takes, before the first report is made.
  if (hub.behaviour.refuse === null) {
    await uplink.start();
    await until(() => uplink.ready).toBe(true);
  }
  await collector.start();
  return { collector, spool };
}

async function stop({ collector, spool }: Site): Promise<void> {
  await collector.stop();
  await spool.stop();
}

/** What reached the hub, opened, in the order in which it came. */
function received(): { lane: Lane; report: Report }[] {
  return hub.frames.flatMap(({ lane, reports }) =>
    reports.map((sealed) => {
      const parts = splitSealed(sealed);
      if (parts === null || !sealIsValid(keyFrom(key), parts)) throw new Error('not sealed by the site');
      const report: unknown = JSON.parse(Buffer.from(parts.json).toString());
      if (!validator.Check(report)) throw new Error(JSON.stringify(validator.Errors(report)));
      return { lane, report };
    }),
  );
}
const seqs = (lane: Lane) =>
  received()
    .filter((each) => each.lane === lane)
    .map(({ report }) => report.seq);
const until = <T>(what: () => T) => expect.poll(what, { interval: 5 });
const atLeast = (least: number) => expect.toSatisfy((value: number) => value >= least);

function probe(name: string, read: (signal: AbortSignal) => Promise<Observation>): Probe {
  return { name, start: async () => {}, read, stop: async () => {} };
}
const nodes = (total: number) => ({ parts: { nodes: { total, ready: total, underPressure: 0 } }, lost: 0 });

describe('the collector', () => {
  it('sends a sealed report each interval, live, and forgets what the hub has', async () => {
    const { collector, spool } = await start({ probes: [probe('cluster', async () => nodes(3))] });
    await until(() => seqs('live').length).toEqual(atLeast(3));
    const [first, second] = received();
    expect(first?.report).toMatchObject({
      site,
      seq: 1,
      prev: null,
      dropped: [],
      missed: 0,
      intervalMs: 100,
      proposed: { team: 'shop' },
      nodes: { total: 3 },
      probes: [{ name: 'cluster', ok: true, lost: 0 }],
    });
    expect(first?.report.held).toEqual({ boot: first?.report.boot, seq: 1 });
    expect(Math.abs((first?.report.ts ?? 0) - Date.now())).toBeLessThan(5000);
    expect(first?.report.clockOffsetMs).not.toBe(null);
    expect((second?.report.monoMs ?? 0) - (first?.report.monoMs ?? 0)).toBeGreaterThan(50);
    expect(seqs('backfill')).toEqual([]);
    await until(() => spool.stats().reports).toBe(0);
    expect(collector.status()).toMatchObject({ connected: true, trouble: null, seq: atLeast(3) });
  });

  it('holds what it makes while the hub is away: then the newest goes live, the rest the slow lane in order', async () => {
    const port = Number(new URL(hub.url).port);
    const { collector, spool } = await start();
    await until(() => seqs('live').length).toEqual(atLeast(2));
    await hub.stop();
    const before = received().at(-1)?.report.seq ?? 0;
    await until(() => spool.stats().reports).toEqual(atLeast(7));
    expect(collector.status().trouble).toContain("can't reach the hub");
    hub = await startHubSide({ key, site, port });
    await until(() => spool.stats().reports).toBe(0);
    const all = received();
    expect(all[0]?.lane).toBe('live');
    const [newest = 0] = seqs('live');
    expect(newest).toBeGreaterThan(before + 5);
    expect(seqs('backfill')).toEqual([...seqs('backfill')].sort((a, b) => a - b));
    const stored = new Set(all.map(({ report }) => report.seq));
    for (let seq = before + 1; seq <= newest; seq += 1) expect(stored, `report ${seq}`).toContain(seq);
    expect(all[0]?.report.held.seq).toBeLessThanOrEqual(before + 1);
  });

  it('keeps to the rate that the hub allows for what was held', async () => {
    hub.behaviour.refuse = 1001;
    const { spool } = await start();
    await until(() => spool.stats().reports).toEqual(atLeast(12));
    hub.behaviour.backfillPerS = 10;
    const startedAt = performance.now();
    hub.behaviour.refuse = null;
    await until(() => seqs('backfill').length).toEqual(atLeast(9));
    const sent = seqs('backfill').length;
    const elapsedS = (performance.now() - startedAt) / 1000;
    // The first batch, of a quarter of a second, goes at once.
    expect(sent).toBeLessThanOrEqual(10 * elapsedS + 3);
  });

  it('sends again, unchanged, what was never acknowledged', async () => {
    hub.behaviour.acknowledge = false;
    const { spool } = await start();
    await until(() => seqs('live').length).toEqual(atLeast(3));
    const lost = hub.frames.slice(0, 3).map(({ reports }) => `${reports[0]}`);
    expect(spool.stats().reports).toEqual(atLeast(3));
    hub.frames.length = 0;
    hub.behaviour.acknowledge = true;
    hub.cut();
    await until(() => hub.frames.flatMap(({ reports }) => reports.map(String))).toEqual(
      expect.arrayContaining(lost),
    );
    await until(() => spool.stats().reports).toBe(0);
  });

  it('goes on after a restart with a new boot that names the last one, and sends what that one held', async () => {
    hub.behaviour.refuse = 1001;
    const first = await start();
    await until(() => first.spool.stats().reports).toEqual(atLeast(3));
    await stop(first);
    hub.behaviour.refuse = null;
    const { spool } = await start();
    await until(() => seqs('backfill').length).toEqual(atLeast(3));
    await until(() => spool.stats().reports).toBe(0);
    const all = received();
    const old = all.filter(({ lane }) => lane === 'backfill').map(({ report }) => report);
    const live = all.find(({ lane }) => lane === 'live')?.report;
    expect(old.map(({ seq }) => seq).slice(0, 3)).toEqual([1, 2, 3]);
    expect(live?.seq).toBe(1);
    expect(live?.prev).toEqual({ boot: old[0]?.boot, seq: old.at(-1)?.seq });
  });

  it('says which reports its bound dropped, until the hub has heard it', async () => {
    hub.behaviour.refuse = 1001;
    const { spool } = await start({}, { maxBytes: 4000 });
    await until(() => spool.dropped()[0]?.to ?? 0).toEqual(atLeast(3));
    hub.behaviour.refuse = null;
    await until(() => spool.dropped()).toEqual([]);
    await until(() => spool.stats().reports).toBe(0);
    const all = received().map(({ report }) => report);
    const named = new Set<number>();
    for (const { dropped } of all)
      for (const { from, to } of dropped) for (let seq = from; seq <= to; seq += 1) named.add(seq);
    const stored = new Set(all.map(({ seq }) => seq));
    for (let seq = 1; seq <= Math.max(...stored); seq += 1)
      expect(stored.has(seq) || named.has(seq), `report ${seq}`).toBe(true);
    await until(() => received().at(-1)?.report.dropped).toEqual([]);
  });

  it('stamps by the clock of the hub, and remembers the offset for the next boot', async () => {
    hub.behaviour.aheadMs = 864_000_000;
    const first = await start();
    await until(() => seqs('live').length).toEqual(atLeast(1));
    const report = received()[0]?.report;
    expect(Math.abs((report?.ts ?? 0) - Date.now() - 864_000_000)).toBeLessThan(2000);
    await until(() => first.spool.kept('clock-offset-ms')).toEqual(expect.stringMatching(/^86\d{7}$/));
    await stop(first);
    hub.frames.length = 0;
    hub.behaviour.refuse = 1001;
    const { spool } = await start();
    await until(() => spool.stats().reports).toEqual(atLeast(1));
    hub.behaviour.refuse = null;
    await until(() => received().length).toEqual(atLeast(1));
    const offline = received().find(({ report: { seq } }) => seq === 1)?.report;
    expect(Math.abs((offline?.clockOffsetMs ?? 0) - 864_000_000)).toBeLessThan(2000);
  });

  it('reports what works when a probe throws, hangs or gives nonsense', async () => {
    const hanging = probe('hanging', () => new Promise(() => {}));
    const nonsense = probe('nonsense', async () => ({
      parts: { nodes: { total: -1, ready: 0, underPressure: 0 } },
      lost: 0,
    }));
    const throwing = probe('throwing', async () => {
      throw new Error('no such device');
    });
    await start({
      probes: [hanging, nonsense, throwing, probe('well', async () => ({ ...nodes(2), lost: 4 }))],
    });
    await until(() => received().length).toEqual(atLeast(2));
    const [first, second] = received().map(({ report }) => report);
    expect(first?.nodes?.total).toBe(2);
    expect(first?.probes).toEqual([
      { name: 'hanging', ok: false, lost: 0, error: 'gave nothing within 50 ms' },
      { name: 'nonsense', ok: false, lost: 0, error: expect.stringContaining('/nodes/total') },
      { name: 'throwing', ok: false, lost: 0, error: 'no such device' },
      { name: 'well', ok: true, lost: 4 },
    ]);
    expect(second?.probes[0]?.error).toBe('still busy with the reading before');
  });

  it('leaves out the part that makes a report too large, and says so', async () => {
    const links = Array.from({ length: 64 }, (_, index) => ({
      name: `${index}-${'n'.repeat(55)}`,
      protocol: 'tcp' as const,
      target: '\u0001'.repeat(255),
      up: true,
      epoch: 1e15,
      requests: 1e15,
      losses: 1e15,
      errors: 1e15,
      window: { requests: 1e15, losses: 1e15, errors: 1e15 },
      latency: { p50Ms: 1 / 3, p90Ms: 1 / 3, p99Ms: 1 / 3 },
      lastError: '\u0001'.repeat(200),
    }));
    const probes = Array.from({ length: 1000 }, (_, index) => ({
      name: 'api',
      workload: `workload-${index}`,
      expect: 'allow' as const,
      outcome: 'connected' as const,
      control: 'connected' as const,
      denyMoved: false,
      atMs: 1_760_000_001_000,
    }));
    await start({
      probes: [
        probe('links', async () => ({ parts: { links }, lost: 0 })),
        probe('cluster', async () => nodes(1)),
        probe('policy', async () => ({
          parts: { policy: policyReport({ policies: [policyStatus({ probes })] }) },
          lost: 0,
        })),
      ],
    });
    await until(() => received().length).toEqual(atLeast(1));
    const report = received()[0]?.report;
    expect(report?.links).toBe(undefined);
    expect(report?.policy?.policies[0]?.probes).toHaveLength(probes.length);
    expect(report?.nodes?.total).toBe(1);
    expect(report?.probes).toContainEqual({
      name: 'links-size',
      ok: false,
      lost: 1,
      error: expect.stringContaining('over the limit'),
    });
  });

  it('flushes at stop, twice as well as once, and says simulated when it is', async () => {
    hub.behaviour.acknowledge = false;
    const one = await start({ simulated: true });
    await until(() => seqs('live').length).toEqual(atLeast(1));
    const stopping = stop(one);
    hub.behaviour.acknowledge = true;
    hub.acknowledgeAll();
    await stopping;
    await stop(one);
    expect(received()[0]?.report.kind).toBe('simulated');
    await until(() => hub.channels()).toBe(0);
    const spool = openSpool({ path: join(dir, 'spool.sqlite') });
    await spool.start();
    expect(spool.stats().reports).toBe(0);
    await spool.stop();
  });
});
