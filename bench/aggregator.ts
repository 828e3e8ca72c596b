import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ClickHouseClient } from '@clickhouse/client';
import { DERIVER_SETTINGS, LANE_LIMITS } from '../adapters/clickhouse/clients.ts';
import { openEmbedded } from '../adapters/clickhouse/embedded.ts';
import { compileEncoder, NativeBuffer } from '../adapters/clickhouse/encoder.ts';
import { openStore } from '../adapters/clickhouse/open.ts';
import { openSqlite } from '../adapters/sqlite/open.ts';
import { type Accounted, account } from '../aggregator/account.ts';
import { type Authentic, authenticate } from '../aggregator/authenticate.ts';
import { type Decoded, decode } from '../aggregator/decode.ts';
import { nothingKnown } from '../aggregator/known.ts';
import { createMemory } from '../aggregator/memory.ts';
import { emptyOutcome } from '../aggregator/outcome.ts';
import { createRegistry } from '../aggregator/registry.ts';
import { reportRow } from '../aggregator/report-row.ts';
import { addRows } from '../aggregator/rows.ts';
import { type Judged, judge } from '../aggregator/score.ts';
import type { Step } from '../aggregator/step.ts';
import type { ReportRow } from '../core/model/rows.ts';
import type { Log, LogRecord } from '../core/ports/log.ts';
import type { Store } from '../core/ports/store.ts';
import type { Table } from '../core/ports/table.ts';
import { DEFAULT_WEIGHTS } from '../core/score/weights.ts';
import { DAY_MS, settled, startAggregator } from './gated-aggregator.ts';
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
/** One for all rounds, as the store has it: a new one would not be compiled yet. */
const ENCODER = compileEncoder('report');
/** Rounds for the compilers, and for what is derived or looked up once. */
const WARM_UP = 2;

type Parts = { log: Log; table: Table; store: Store; client: ClickHouseClient };
type Shares = Record<string, number>;
type Rates = {
  aggregator: number[];
  pipeline: number[];
  plain: number[];
  tuned: number[];
  ceiling: number[];
};

export async function run(): Promise<BenchResult> {
  const dir = await mkdtemp(join(tmpdir(), 'plumbline-bench-'));
  const store = openStore({ path: join(dir, 'store') }, { logger: silent });
  const files = { partitions: 4, retentionMs: DAY_MS, retentionBytes: 4e9, logger: silent };
  const ours = openSqlite({ ...files, dir: join(dir, 'ours') });
  const theirs = openSqlite({ ...files, dir: join(dir, 'theirs') });
  const logs = [ours.log, ours.table, theirs.log, theirs.table];
  await Promise.all([...logs, store].map((part) => part.start()));
  // Beside the store, on the same database: one client with its writer's settings, one with chDB's own.
  const clients = await openEmbedded(join(dir, 'store'), LANE_LIMITS);
  try {
    for (const { table } of [ours, theirs])
      await (await table.claim('control')).write('resources', registrations(SITES));
    const defaults = Object.keys(DERIVER_SETTINGS).map((name) => `${name} = DEFAULT`);
    await clients.deriver.command({ query: `SET ${defaults.join(', ')}` });
    const plain = { ...theirs, store: insertingObjects(store, clients.deriver), client: clients.deriver };
    return await compare({ ...ours, store, client: clients.writer }, plain);
  } finally {
    for (const part of [...logs, store]) await part.stop();
    await clients.close();
    await rm(dir, { recursive: true, force: true });
  }
}

/** The store as one would write it: every report as an object to the client. */
function insertingObjects(store: Store, client: ClickHouseClient): Store {
  return {
    start: () => store.start(),
    stop: () => store.stop(),
    query: (sql, params, lane) => store.query(sql, params, lane),
    derive: (sql, params) => store.derive(sql, params),
    insert: async (table, rows) => {
      if (table !== 'report') return store.insert(table, rows);
      const objects = rows.flatMap((row) => (isReport(row) ? [asObject(row)] : []));
      await insertObjects(client, objects);
    },
  };
}

async function compare(parts: Parts, plain: Parts): Promise<BenchResult> {
  const count = SITES * EACH;
  const rates: Rates = { aggregator: [], pipeline: [], plain: [], tuned: [], ceiling: [] };
  const shares: Shares[] = [];
  const aggregator = await startAggregator(parts);
  const pipeline = await startAggregator(plain);
  for (let round = 0; round < WARM_UP + ROUNDS; round++) {
    const nowMs = Date.now();
    const reports = (turn: number) => reportsOf(5 * round + turn, SITES, EACH, nowMs);
    await parts.log.append('reports', sealedRecords(reports(1)));
    const own = await settled(parts.store, aggregator.catchUp);
    await plain.log.append('reports', sealedRecords(reports(2)));
    const through = await settled(parts.store, pipeline.catchUp);
    const staged = await stages(parts, reports(3));
    const inserted = await settled(parts.store, () => insertObjects(plain.client, staged.objects));
    const again = (await stages(parts, reports(4))).objects;
    const tuned = await settled(parts.store, () => insertObjects(parts.client, again));
    if (round < WARM_UP) continue;
    rates.aggregator.push(count / own);
    rates.pipeline.push(count / through);
    rates.plain.push(count / inserted);
    rates.tuned.push(count / tuned);
    rates.ceiling.push(count / staged.ceilingS);
    shares.push(staged.shares);
  }
  await aggregator.stop();
  await pipeline.stop();
  return result(rates, shares);
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
    const known = nothingKnown();
    // In small pieces, so that a step is not charged for the garbage that measuring steps apart keeps alive.
    for (let at = 0; at < batch.length; at += PIECE) {
      const piece = batch.slice(at, at + PIECE);
      const decoded = await timed('decode', () => piece.map((one) => stepValue<Decoded>(decode(one))));
      const authentic = await timed('MAC', () =>
        decoded.map((one) => stepValue<Authentic>(authenticate(one, registry, DAY_MS))),
      );
      const accounted = await timed('account', () =>
        authentic.map((one) => stepValue<Accounted>(account(one, memory, known))),
      );
      const judged = await timed('score', () => accounted.map((one) => judge(one, DEFAULT_WEIGHTS)));
      await timed('rows', () => {
        for (const one of judged) addRows(one, outcome);
      });
    }
    await timed('encode', () => {
      buffer.length = 0;
      ENCODER.encode(outcome.reports, buffer);
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

function isReport(row: object): row is ReportRow {
  return 'payload' in row;
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

function result(rates: Rates, shares: Shares[]): BenchResult {
  const names = Object.keys(shares[0] ?? {});
  const totals = shares.map((one) => names.reduce((sum, name) => sum + (one[name] ?? 0), 0));
  const count = SITES * EACH;
  const share = (name: string) => {
    const part = median(shares.map((one, i) => (one[name] ?? 0) / (totals[i] ?? 1)));
    const us = median(shares.map((one) => ((one[name] ?? 0) / count) * 1e6));
    return `${name} ${(part * 100).toFixed(0)}% (${us.toFixed(1)} us)`;
  };
  const row = (what: string, values: number[]) => [
    what,
    `${(median(values) / 1000).toFixed(1)}k`,
    `${(Math.min(...values) / 1000).toFixed(1)}k to ${(Math.max(...values) / 1000).toFixed(1)}k`,
    median(rates.aggregator.map((one, i) => one / (values[i] ?? Number.NaN))).toFixed(2),
  ];
  return {
    title: 'Aggregator: from the log to durable rows',
    columns: [
      'what',
      'reports per CPU-second, median',
      'lowest to highest',
      'the aggregator does so many times it',
    ],
    rows: [
      row('aggregator, everything included', rates.aggregator),
      row('the same aggregator, storing with `insert(objects)`', rates.pipeline),
      row("`insert(objects)` of the same rows alone, chDB's own settings", rates.plain),
      row("`insert(objects)` of the same rows alone, our writer's settings", rates.tuned),
      row('ceiling: parse and flatten alone', rates.ceiling),
    ],
    notes: [
      `${shares.length} interleaved rounds of ${count} reports from ${SITES} sites, batches of ${SITES}, one process, all its threads counted; ratios are the medians of paired rounds.`,
      `Shares of the steps by themselves: ${names.map(share).join(', ')}. Reading the log and publishing states come on top.`,
      'All insert into the same table with the same materialized views. Merges run between the measurements: they are the same for all.',
    ],
  };
}
