import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ClickHouseClient } from '@clickhouse/client';
import { LANE_LIMITS } from '../adapters/clickhouse/clients.ts';
import { openEmbedded } from '../adapters/clickhouse/embedded.ts';
import { compileEncoder, NativeBuffer } from '../adapters/clickhouse/encoder.ts';
import { openStore } from '../adapters/clickhouse/open.ts';
import { createMetrics } from '../adapters/prometheus/metrics.ts';
import { openSqlite } from '../adapters/sqlite/open.ts';
import { type Accounted, account } from '../aggregator/account.ts';
import { createAggregator } from '../aggregator/aggregator.ts';
import { type Authentic, authenticate } from '../aggregator/authenticate.ts';
import { type Decoded, decode } from '../aggregator/decode.ts';
import { createMemory } from '../aggregator/memory.ts';
import { emptyOutcome } from '../aggregator/outcome.ts';
import { createRegistry } from '../aggregator/registry.ts';
import { reportRow } from '../aggregator/report-row.ts';
import { addRows } from '../aggregator/rows.ts';
import { type Judged, judge } from '../aggregator/score.ts';
import type { Step } from '../aggregator/step.ts';
import type { ReportRow } from '../core/model/rows.ts';
import { systemClock } from '../core/ports/clock.ts';
import type { Log, LogRecord } from '../core/ports/log.ts';
import type { Store } from '../core/ports/store.ts';
import type { Table } from '../core/ports/table.ts';
import { DEFAULT_WEIGHTS } from '../core/score/weights.ts';
import { type BenchResult, cpuSeconds, median, silent } from './result.ts';
import { MASTER, registrations, reportsOf, sealedRecords } from './workload.ts';

/*
 * From the log to durable rows, in reports a processor second, beside `insert(objects)` of the very rows the aggregator
 * made, into the same table with the same views behind it. Rounds of both alternate, so that what else the machine does
 * falls on both.
 */

const SITES = 3000;
const EACH = 4;
const ROUNDS = 6;
const PIECE = 250;
/** Rounds for the compilers, and for what is derived or looked up once. */
const WARM_UP = 2;
const DAY_MS = 86_400_000;

type Parts = { log: Log; table: Table; store: Store; client: ClickHouseClient };
type Shares = Record<string, number>;

export async function run(): Promise<BenchResult> {
  const dir = await mkdtemp(join(tmpdir(), 'plumbline-bench-'));
  const store = openStore({ path: join(dir, 'store') }, { logger: silent });
  const files = { dir, partitions: 4, retentionMs: DAY_MS, retentionBytes: 4e9, logger: silent };
  const { log, table } = openSqlite(files);
  await Promise.all([log.start(), table.start(), store.start()]);
  // Beside the store, on the same database and with its writer's settings.
  const clients = await openEmbedded(join(dir, 'store'), LANE_LIMITS);
  try {
    const owner = await table.claim('control');
    await owner.write('resources', registrations(SITES));
    return await compare({ log, table, store, client: clients.writer });
  } finally {
    await log.stop();
    await table.stop();
    await store.stop();
    await clients.close();
    await rm(dir, { recursive: true, force: true });
  }
}

async function compare(parts: Parts): Promise<BenchResult> {
  const count = SITES * EACH;
  const ours: number[] = [];
  const objects: number[] = [];
  const ceiling: number[] = [];
  const shares: Shares[] = [];
  const aggregator = await startAggregator(parts);
  for (let round = 0; round < WARM_UP + ROUNDS; round++) {
    const nowMs = Date.now();
    const records = sealedRecords(reportsOf(3 * round + 1, SITES, EACH, nowMs));
    await parts.log.append('reports', records);
    const own = await cpuSeconds(aggregator.catchUp);
    const staged = await stages(parts, reportsOf(3 * round + 2, SITES, EACH, nowMs));
    const inserted = await cpuSeconds(() => insertObjects(parts.client, staged.objects));
    if (round < WARM_UP) continue;
    ours.push(count / own);
    objects.push(count / inserted);
    ceiling.push(count / staged.ceilingS);
    shares.push(staged.shares);
  }
  await aggregator.stop();
  return result(ours, objects, ceiling, shares);
}

/** An aggregator that reads only while it is measured, so that what fills the log is not counted. */
async function startAggregator({ log, table, store }: Parts) {
  let gate = Promise.withResolvers<void>();
  const gated: Log = {
    start: () => log.start(),
    stop: () => log.stop(),
    retain: () => log.retain(),
    append: (topic, records) => log.append(topic, records),
    subscribe: async (options) => {
      const inner = await log.subscribe(options);
      return {
        next: async (signal) => {
          await gate.promise;
          return inner.next(signal);
        },
        commit: (batch) => inner.commit(batch),
        caughtUp: () => inner.caughtUp(),
        lag: () => inner.lag(),
        close: () => inner.close(),
      };
    },
  };
  const aggregator = createAggregator({
    log: gated,
    table,
    store,
    master: MASTER,
    clock: systemClock,
    logger: silent,
    metrics: createMetrics(),
    spoolMaxAgeMs: DAY_MS,
    paceMs: 0,
  });
  await aggregator.start();
  const catchUp = async () => {
    gate.resolve();
    while (!(await aggregator.caughtUp())) await sleep(5);
    gate = Promise.withResolvers<void>();
  };
  const stop = async () => {
    gate.resolve();
    await aggregator.stop();
  };
  return { catchUp, stop };
}

/** One batch after another through each step by itself, as the pipeline does it, timing the steps apart. */
async function stages(parts: Parts, reports: ReturnType<typeof reportsOf>) {
  const records = sealedRecords(reports).map(
    ({ key, value }, offset): LogRecord => ({
      topic: 'reports',
      partition: 0,
      offset,
      key,
      value,
      appendedAtMs: Date.now(),
    }),
  );
  const views = { resources: await parts.table.view('resources'), states: await parts.table.view('state') };
  const registry = createRegistry(views.resources, MASTER);
  const memory = createMemory(views.states, silent);
  const encoder = compileEncoder('report');
  const buffer = new NativeBuffer(8 * 1024 * 1024);
  for (const { site } of reports) memory.of(site);
  for (const { site } of reports) registry.find(site);
  const shares: Shares = {};
  const timed = async <T>(name: string, act: () => T | Promise<T>): Promise<T> => {
    const values: T[] = [];
    const usedS = await cpuSeconds(async () => values.push(await act()));
    shares[name] = (shares[name] ?? 0) + usedS;
    for (const value of values) return value;
    throw new Error('a timed step gives its value');
  };
  const objects: object[] = [];
  for (let from = 0; from < records.length; from += SITES) {
    const batch = records.slice(from, from + SITES);
    const outcome = emptyOutcome();
    // In small pieces, so that a step is not charged for the garbage that measuring steps apart keeps alive.
    for (let at = 0; at < batch.length; at += PIECE) {
      const piece = batch.slice(at, at + PIECE);
      const decoded = await timed('decode', () => piece.map((one) => stepValue<Decoded>(decode(one))));
      const authentic = await timed('MAC', () =>
        decoded.map((one) => stepValue<Authentic>(authenticate(one, registry, DAY_MS))),
      );
      const accounted = await timed('account', () =>
        authentic.map((one) => stepValue<Accounted>(account(one, memory, new Map()))),
      );
      const judged = await timed('score', () => accounted.map((one) => judge(one, DEFAULT_WEIGHTS)));
      await timed('rows', () => {
        for (const one of judged) addRows(one, outcome, 0);
      });
    }
    await timed('encode', () => {
      buffer.length = 0;
      encoder.encode(outcome.reports, buffer);
    });
    // The store encodes again by itself: what it takes beyond that is the insert.
    await timed('insert', () => parts.store.insert('report', outcome.reports));
    objects.push(...outcome.reports.map(asObject));
  }
  shares.insert = Math.max(0, (shares.insert ?? 0) - (shares.encode ?? 0));
  const ceilingS = await cpuSeconds(() => parseAndFlatten(records));
  registry.close();
  memory.close();
  await Promise.all([views.resources.close(), views.states.close()]);
  return { shares, objects, ceilingS };
}

function stepValue<T>(step: Step<T>): T {
  if (!step.ok) throw new Error(`a report of the benchmark was refused: ${step.detail}`);
  return step.value;
}

/** What any program that turns these reports into these rows does at least: parse, and take the fields out. */
function parseAndFlatten(records: readonly LogRecord[]): ReportRow[] {
  const nothing = { score: null, shown: null, components: {}, losses: [], caps: [], probeFault: null };
  return records.map((record) => {
    const json = record.value.subarray(32);
    const report = JSON.parse(Buffer.from(json).toString('utf8'));
    const judged: Judged = {
      record,
      report,
      mac: json,
      json,
      hash: '',
      repeated: false,
      moves: false,
      previous: null,
      scored: nothing,
      state: null,
    };
    return reportRow(judged);
  });
}

/** A row as the client's JSONEachRow takes it, and under another boot, so that both rounds write new rows. */
function asObject(row: ReportRow): object {
  const at = (ms: number) => new Date(ms).toISOString().replace('T', ' ').replace('Z', '');
  return {
    ...row,
    boot: `9${row.boot.slice(1)}`,
    ts: at(row.ts),
    received_at: at(row.received_at),
    payload: Buffer.from(row.payload).toString('utf8'),
  };
}

async function insertObjects(client: ClickHouseClient, rows: readonly object[]): Promise<void> {
  for (let from = 0; from < rows.length; from += SITES)
    await client.insert({
      table: 'plumbline.report',
      values: rows.slice(from, from + SITES),
      format: 'JSONEachRow',
    });
}

function result(ours: number[], objects: number[], ceiling: number[], shares: Shares[]): BenchResult {
  const rate = (values: number[]) => `${(median(values) / 1000).toFixed(1)}k`;
  const spread = (values: number[]) =>
    `${(Math.min(...values) / 1000).toFixed(1)}k to ${(Math.max(...values) / 1000).toFixed(1)}k`;
  const ratio = median(ours.map((one, i) => one / (objects[i] ?? Number.NaN)));
  const names = Object.keys(shares[0] ?? {});
  const totals = shares.map((one) => names.reduce((sum, name) => sum + (one[name] ?? 0), 0));
  const count = SITES * EACH;
  const share = (name: string) => {
    const part = median(shares.map((one, i) => (one[name] ?? 0) / (totals[i] ?? 1)));
    const us = median(shares.map((one) => ((one[name] ?? 0) / count) * 1e6));
    return `${name} ${(part * 100).toFixed(0)}% (${us.toFixed(1)} us)`;
  };
  return {
    title: 'Aggregator: from the log to durable rows',
    columns: ['what', 'reports per CPU-second, median', 'lowest to highest', 'ratio'],
    rows: [
      ['aggregator, everything included', rate(ours), spread(ours), `${ratio.toFixed(1)} (paired median)`],
      ['`insert(objects)` of the same rows', rate(objects), spread(objects), '1'],
      ['ceiling: parse and flatten alone', rate(ceiling), spread(ceiling), ''],
    ],
    notes: [
      `${ours.length} interleaved rounds of ${count} reports from ${SITES} sites, batches of ${SITES}, one process, all its threads counted.`,
      `Shares of the steps by themselves: ${names.map(share).join(', ')}. Reading the log and publishing states come on top. The inserts feed the materialized views in both.`,
    ],
  };
}
