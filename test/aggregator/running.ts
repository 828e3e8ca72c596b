/** An aggregator on real parts (SQLite, chDB), the log and table of which are new for each test of the file that imports this. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Compile } from 'typebox/compile';
import { afterAll, afterEach, beforeAll, beforeEach } from 'vitest';
import { openStore } from '../../adapters/clickhouse/open.ts';
import { createMetrics } from '../../adapters/prometheus/metrics.ts';
import { openSqlite } from '../../adapters/sqlite/open.ts';
import { type Aggregator, createAggregator } from '../../aggregator/aggregator.ts';
import type { Report } from '../../core/model/report.ts';
import { SiteState } from '../../core/model/site-state.ts';
import { type Clock, systemClock } from '../../core/ports/clock.ts';
import type { Log } from '../../core/ports/log.ts';
import type { Store } from '../../core/ports/store.ts';
import type { Table } from '../../core/ports/table.ts';
import { report } from '../parts/report.ts';
import { keyOf, MASTER, SPOOL_MAX_AGE_MS, sealed, silent, siteResource } from './site.ts';

const siteState = Compile(SiteState);
export const SITES = ['a-1', 'a-2', 'a-3'];
let dir: string;
export let store: Store;
export let log: Log;
export let table: Table;
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

export async function aggregate(over: Partial<{ store: Store; clock: Clock; table: Table }> = {}) {
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

export async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  for (const deadline = Date.now() + 30_000; Date.now() < deadline; await sleep(20))
    if (await holds()) return;
  throw new Error(`not in time: ${what}`);
}

export const now = Date.now();
export function said(site: string, seq: number, part: Partial<Report> = {}) {
  const of = report({ site, seq, ts: now + seq, ...part });
  return { key: site, value: sealed(of, keyOf(site)) };
}
export const rows = <R extends object>(sql: string) => store.query<R>(sql);
export const stored = () =>
  rows<{ site: string; seq: number; lane: string }>(
    'SELECT site, toUInt32(seq) AS seq, lane FROM plumbline.report FINAL ORDER BY site, seq',
  );
export async function stateOf(site: string): Promise<SiteState | null> {
  const view = await table.view('state');
  const bytes = view.get(site);
  await view.close();
  const state: unknown = bytes === undefined ? null : JSON.parse(Buffer.from(bytes).toString());
  return siteState.Check(state) ? state : null;
}
