import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Compile } from 'typebox/compile';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { openStore } from '../../adapters/clickhouse/open.ts';
import { createMetrics } from '../../adapters/prometheus/metrics.ts';
import { openSqlite } from '../../adapters/sqlite/open.ts';
import { type Aggregator, createAggregator } from '../../aggregator/aggregator.ts';
import type { Report } from '../../core/model/report.ts';
import type { ReportRow } from '../../core/model/rows.ts';
import { SiteState } from '../../core/model/site-state.ts';
import { type Clock, systemClock } from '../../core/ports/clock.ts';
import type { Log } from '../../core/ports/log.ts';
import { type Store, StoreError } from '../../core/ports/store.ts';
import type { Table } from '../../core/ports/table.ts';
import { FIRST_BOOT, report } from '../parts/report.ts';
import { keyOf, MASTER, SPOOL_MAX_AGE_MS, sealed, silent, siteResource } from './site.ts';
import { reportsOf } from './stored.ts';

const siteState = Compile(SiteState);
const SITES = ['a-1', 'a-2', 'a-3'];
let dir: string;
let store: Store;
let log: Log;
let table: Table;
let running: Aggregator[] = [];
let round = 0;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'plumbline-aggregator-'));
  store = openStore({ path: join(dir, 'store') }, { logger: silent });
  await store.start();
});

afterAll(async () => {
  await store.stop();
  await rm(dir, { recursive: true, force: true });
});

beforeEach(async () => {
  for (const name of ['report', 'boot_ledger_agg', 'quarantine', 'gap', 'event', 'dirty_minute'])
    await store.derive(`TRUNCATE TABLE plumbline.${name}`);
  const parts = openSqlite({
    dir: join(dir, `log-${round++}`),
    partitions: 4,
    retentionMs: 864e5,
    retentionBytes: 1e9,
    logger: silent,
  });
  log = parts.log;
  table = parts.table;
  await log.start();
  await table.start();
  const owner = await table.claim('control');
  await owner.write(
    'resources',
    SITES.map((name) => siteResource(name)),
  );
});

afterEach(async () => {
  await Promise.all(running.map((one) => one.stop()));
  running = [];
  await log.stop();
  await table.stop();
});

async function aggregate(over: Partial<{ store: Store; clock: Clock }> = {}) {
  const metrics = createMetrics();
  const aggregator = createAggregator({
    log,
    table,
    store,
    master: MASTER,
    clock: systemClock,
    logger: silent,
    metrics,
    spoolMaxAgeMs: SPOOL_MAX_AGE_MS,
    pace: () => 0,
    ...over,
  });
  running.push(aggregator);
  await aggregator.start();
  return { aggregator, metrics };
}

async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  for (const deadline = Date.now() + 30_000; Date.now() < deadline; await sleep(20))
    if (await holds()) return;
  throw new Error(`not in time: ${what}`);
}

const now = Date.now();
function said(site: string, seq: number, part: Partial<Report> = {}) {
  const of = report({ site, seq, ts: now + seq, ...part });
  return { key: site, value: sealed(of, keyOf(site)) };
}
const rows = <R extends object>(sql: string) => store.query<R>(sql);
const stored = () =>
  rows<{ site: string; seq: number; lane: string }>(
    'SELECT site, toUInt32(seq) AS seq, lane FROM plumbline.report FINAL ORDER BY site, seq',
  );
async function stateOf(site: string): Promise<SiteState | null> {
  const view = await table.view('state');
  const bytes = view.get(site);
  await view.close();
  const state: unknown = bytes === undefined ? null : JSON.parse(Buffer.from(bytes).toString());
  return siteState.Check(state) ? state : null;
}

test('reports become rows, states and figures; held ones become rows only', async () => {
  const { aggregator, metrics } = await aggregate();
  await log.append('reports', [said('a-1', 5), said('a-2', 1), said('a-3', 1)]);
  await log.append('backfill', [said('a-1', 3), said('a-1', 4)]);
  await until('caught up', () => aggregator.caughtUp());
  expect(await stored()).toEqual([
    { site: 'a-1', seq: 3, lane: 'backfill' },
    { site: 'a-1', seq: 4, lane: 'backfill' },
    { site: 'a-1', seq: 5, lane: 'live' },
    { site: 'a-2', seq: 1, lane: 'live' },
    { site: 'a-3', seq: 1, lane: 'live' },
  ]);
  await until('state', async () => (await stateOf('a-1'))?.seq === 5);
  await until('figures', async () =>
    (await metrics.expose()).includes('plumbline_reports_total{outcome="stored"} 5'),
  );
});

test('a bad record goes to quarantine with its reason and an event, and the others go on', async () => {
  const { aggregator } = await aggregate();
  const forged = { key: 'a-2', value: sealed(report({ site: 'a-2', seq: 7, ts: now }), keyOf('a-1')) };
  const dropped = [{ boot: FIRST_BOOT, from: 4, to: 9 }];
  const early = said('a-3', 2, { ts: now - 10 * 864e5, dropped });
  await log.append('reports', [said('a-1', 1), forged, early, { key: 'a-1', value: Buffer.alloc(3) }]);
  await until('caught up', () => aggregator.caughtUp());
  expect((await stored()).map(({ site }) => site)).toEqual(['a-1']);
  expect(
    await rows("SELECT site, reason, boot != '' AS claimed FROM plumbline.quarantine FINAL ORDER BY site"),
  ).toEqual([
    { site: 'a-1', reason: 'too-short', claimed: 0 },
    { site: 'a-2', reason: 'mac', claimed: 1 },
    { site: 'a-3', reason: 'clock', claimed: 1 },
  ]);
  // A site forgets what it dropped once it has said so, whatever becomes of the report that did.
  expect(
    await rows('SELECT site, toUInt32(from_seq) AS a, toUInt32(to_seq) AS b FROM plumbline.gap FINAL'),
  ).toEqual([{ site: 'a-3', a: 4, b: 9 }]);
  expect(await rows('SELECT kind, site FROM plumbline.event FINAL ORDER BY site')).toEqual(
    ['a-1', 'a-2', 'a-3'].map((site) => ({ kind: 'report.quarantined', site })),
  );
});

test('an insert that fails is done again, and nothing is committed before', async () => {
  let failures = 3;
  const insert: Store['insert'] = async (name, some) => {
    if (name === 'report' && failures-- > 0) throw new StoreError('unavailable', 'away');
    await store.insert(name, some);
  };
  const query: Store['query'] = (sql, params, lane) => store.query(sql, params, lane);
  const { aggregator } = await aggregate({
    store: { start: async () => {}, stop: async () => {}, derive: store.derive.bind(store), insert, query },
  });
  await log.append('reports', [said('a-1', 1), said('a-2', 1)]);
  await until('first failure', async () => failures < 3);
  expect(await aggregator.caughtUp()).toBe(false);
  await until('caught up', () => aggregator.caughtUp());
  expect(failures).toBe(-1);
  expect(await stored()).toHaveLength(2);
});

test('a batch that can not be stored is not kept up with for long', async () => {
  let isAway = false;
  let tries = 0;
  let waitedMs = 0;
  const insert: Store['insert'] = async (name, some) => {
    tries++;
    if (isAway) throw new StoreError('unavailable', 'away');
    await store.insert(name, some);
  };
  const query: Store['query'] = (sql, params, lane) => store.query(sql, params, lane);
  const { aggregator } = await aggregate({
    store: { start: async () => {}, stop: async () => {}, derive: store.derive.bind(store), insert, query },
    clock: { ...systemClock, monoMs: () => systemClock.monoMs() + waitedMs },
  });
  await log.append('reports', [said('a-1', 1)]);
  await until('caught up', () => aggregator.caughtUp());
  isAway = true;
  tries = 0;
  await log.append('reports', [said('a-1', 2)]);
  await until('a try', async () => tries > 0);
  expect(await aggregator.keepsUp()).toBe(true);
  waitedMs = 60_000;
  expect(await aggregator.keepsUp()).toBe(false);
  isAway = false;
  await until('keeping up', () => aggregator.keepsUp());
  await until('caught up', () => aggregator.caughtUp());
  expect(await stored()).toHaveLength(2);
});

test('after a restart without a commit the same records come again, and a copied identity is still seen', async () => {
  const blocked: Store['insert'] = async (name, some) => {
    await store.insert(name, some);
    throw new StoreError('unavailable', 'killed after the insert');
  };
  const query: Store['query'] = (sql, params, lane) => store.query(sql, params, lane);
  const first = await aggregate({
    store: {
      start: async () => {},
      stop: async () => {},
      derive: store.derive.bind(store),
      insert: blocked,
      query,
    },
  });
  await log.append('reports', [said('a-1', 1), said('a-1', 2)]);
  await until('rows', async () => (await stored()).length === 2);
  await first.aggregator.stop();

  const { aggregator } = await aggregate();
  await until('caught up', () => aggregator.caughtUp());
  await log.append('backfill', [said('a-1', 1), said('a-1', 2, { missed: 9 })]);
  await until('caught up again', () => aggregator.caughtUp());
  expect(await stored()).toHaveLength(2);
  expect(await rows('SELECT reason, toUInt32(seq) AS seq FROM plumbline.quarantine FINAL')).toEqual([
    { reason: 'conflict', seq: 2 },
  ]);
});

test('a restarted aggregator looks up in the store what it no longer remembers', async () => {
  const first = await aggregate();
  await log.append('reports', [said('a-1', 1), said('a-1', 2), said('a-1', 3)]);
  await until('caught up', () => first.aggregator.caughtUp());
  await first.aggregator.stop();
  const { aggregator, metrics } = await aggregate();
  await log.append('reports', [said('a-1', 2), said('a-1', 1, { missed: 4 })]);
  await until('caught up', () => aggregator.caughtUp());
  expect(await rows('SELECT reason FROM plumbline.quarantine FINAL')).toEqual([{ reason: 'conflict' }]);
  await until('figures', async () =>
    (await metrics.expose()).includes('plumbline_reports_total{outcome="repeated"} 1'),
  );
  expect((await stateOf('a-1'))?.seq).toBe(3);
});

test('a held report that comes first after a restart hides no conflict with what the store has', async () => {
  const first = await aggregate();
  await log.append('backfill', [said('a-1', 7)]);
  await log.append('reports', [said('a-1', 1)]);
  await until('caught up', () => first.aggregator.caughtUp());
  await first.aggregator.stop();
  const { aggregator } = await aggregate();
  await log.append('backfill', [said('a-1', 3)]);
  await until('caught up', () => aggregator.caughtUp());
  await log.append('reports', [said('a-1', 5), said('a-1', 7, { missed: 4 }), said('a-1', 8)]);
  await until('caught up', () => aggregator.caughtUp());
  expect(await rows('SELECT reason, toUInt32(seq) AS seq FROM plumbline.quarantine FINAL')).toEqual([
    { reason: 'conflict', seq: 7 },
  ]);
  expect((await stored()).map(({ seq }) => seq)).toEqual([1, 3, 5, 7, 8]);
});

test('two contents far apart in one batch conflict', async () => {
  await log.append('reports', [said('a-1', 600)]);
  const others = Array.from({ length: 300 }, (_, i) => said('a-1', i + 1));
  await log.append('backfill', [...others, said('a-1', 1, { missed: 5 })]);
  const { aggregator } = await aggregate();
  await until('caught up', () => aggregator.caughtUp());
  expect(await rows('SELECT reason, toUInt32(seq) AS seq FROM plumbline.quarantine FINAL')).toEqual([
    { reason: 'conflict', seq: 1 },
  ]);
  expect(await stored()).toHaveLength(301);
});

/** The store with what `change` makes of each report, to bring about what no report can. */
function storeWith(change: (row: ReportRow) => ReportRow, refuses: (table: string) => boolean = () => false) {
  const insert: Store['insert'] = async (name, some) => {
    if (refuses(name)) throw new StoreError('rejected', 'no such column');
    if (name === 'report') await store.insert('report', reportsOf(some).map(change));
    else await store.insert(name, some);
  };
  const query: Store['query'] = (sql, params, lane) => store.query(sql, params, lane);
  return { start: async () => {}, stop: async () => {}, derive: store.derive.bind(store), insert, query };
}
const isPoison = ({ seq }: { seq: number }) => seq % 10 === 3;
const poisoned = (row: ReportRow): ReportRow => (isPoison(row) ? { ...row, link_up: [] } : row);

test('reports that the store never takes are quarantined alone, also when they come again', async () => {
  const seqs = Array.from({ length: 24 }, (_, i) => i + 1);
  await log.append(
    'reports',
    seqs.map((seq) => said('a-1', seq)),
  );
  let crashes = true;
  const first = await aggregate({ store: storeWith(poisoned, (name) => name === 'event' && crashes) });
  await until('quarantine', async () => (await rows('SELECT 1 FROM plumbline.quarantine')).length > 0);
  await first.aggregator.stop();
  crashes = false;
  const { aggregator, metrics } = await aggregate({ store: storeWith(poisoned) });
  await until('caught up', () => aggregator.caughtUp());
  const quarantined = await rows(
    'SELECT reason, toUInt32(seq) AS seq FROM plumbline.quarantine FINAL ORDER BY seq',
  );
  expect(quarantined).toEqual([3, 13, 23].map((seq) => ({ reason: 'unstorable', seq })));
  const [ledger] = await rows<{ stored: number }>(
    'SELECT toUInt32(stored) AS stored FROM plumbline.boot_ledger',
  );
  expect(ledger).toEqual({ stored: 21 });
  expect(await rows('SELECT DISTINCT kind, severity FROM plumbline.event FINAL')).toEqual([
    { kind: 'report.quarantined', severity: 'warning' },
  ]);
  await until('figures', async () =>
    (await metrics.expose()).includes('plumbline_quarantined_total{reason="unstorable"} 3'),
  );
  await until('state', async () => (await stateOf('a-1'))?.seq === 24);
});

test('what can neither be stored nor quarantined waits, and says why', async () => {
  let waitedMs = 0;
  let isRefusing = true;
  const { aggregator } = await aggregate({
    store: storeWith(poisoned, (name) => name === 'quarantine' && isRefusing),
    clock: { ...systemClock, monoMs: () => systemClock.monoMs() + waitedMs },
  });
  expect(aggregator.trouble()).toBeNull();
  await log.append('reports', [said('a-1', 3), said('a-1', 4)]);
  await until('the other one', async () => (await stored()).some(({ seq }) => seq === 4));
  waitedMs = 60_000;
  await until('trouble', async () => aggregator.trouble() !== null);
  expect(aggregator.trouble()).toBe('insert: no such column (rejected)');
  expect(await aggregator.caughtUp()).toBe(false);
  isRefusing = false;
  await until('caught up', () => aggregator.caughtUp());
  await until('no trouble', async () => aggregator.trouble() === null);
  expect(await rows('SELECT reason FROM plumbline.quarantine FINAL')).toEqual([{ reason: 'unstorable' }]);
});

test('two aggregators share the partitions, and each record is stored once', async () => {
  const [one, two] = [await aggregate(), await aggregate()];
  for (let seq = 1; seq <= 20; seq++)
    await log.append(
      'reports',
      SITES.map((site) => said(site, seq)),
    );
  await until(
    'caught up',
    async () => (await one.aggregator.caughtUp()) && (await two.aggregator.caughtUp()),
  );
  expect(await stored()).toHaveLength(60);
  await one.aggregator.stop();
  await log.append(
    'reports',
    SITES.map((site) => said(site, 21)),
  );
  await until('caught up', () => two.aggregator.caughtUp());
  expect(await stored()).toHaveLength(63);
  expect(await rows('SELECT * FROM plumbline.quarantine')).toEqual([]);
});

test('a late row marks its minute, after the row is there', async () => {
  const { aggregator } = await aggregate();
  const ts = now - 10 * 60_000;
  await log.append('backfill', [said('a-1', 1, { ts }), said('a-2', 1, { ts })]);
  await until('caught up', () => aggregator.caughtUp());
  expect(
    await rows('SELECT toUInt64(toUnixTimestamp64Milli(minute)) AS at FROM plumbline.dirty_minute FINAL'),
  ).toEqual([{ at: Math.floor(ts / 60_000) * 60_000 }]);
});

test('stopping is idempotent, and leaves nothing uncommitted that was taken', async () => {
  const { aggregator } = await aggregate();
  await log.append('reports', [said('a-1', 1)]);
  await until('caught up', () => aggregator.caughtUp());
  await Promise.all([aggregator.stop(), aggregator.stop()]);
  await aggregator.stop();
  expect(await aggregator.caughtUp()).toBe(false);
});
