import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { openStore } from '../adapters/clickhouse/open.ts';
import { openKafka } from '../adapters/kafka/open.ts';
import type { Store } from '../core/ports/store.ts';
import { startKafka } from '../test/parts/kafka.ts';
import { FLATTEN } from './flatten-sql.ts';
import { DAY_MS, settled, startAggregator } from './gated-aggregator.ts';
import { type BenchResult, median, silent } from './result.ts';
import { registrations, reportsOf, sealedRecords } from './workload.ts';

/*
 * The aggregator beside ClickHouse's own Kafka table engine with a materialized view, on a real broker, each reading
 * topics of its own with the same records, into the same table with the same views behind it. Rounds alternate. Counted
 * is this process with all its threads: kafkajs and the aggregator, or librdkafka and the view. The broker is apart.
 *
 * The engine does less: it knows no key, so it checks no MAC; no shape, identity, clock, account, score or state.
 */

const SITES = 3000;
const EACH = 4;
const ROUNDS = 6;
const WARM_UP = 2;
const PARTITIONS = 4;
const ENGINE_TOPIC = 'engine.reports';

export async function run(): Promise<BenchResult> {
  const dir = await mkdtemp(join(tmpdir(), 'plumbline-bench-'));
  const kafka = await startKafka();
  const store = openStore({ path: join(dir, 'store') }, { logger: silent });
  const settings = { brokers: kafka.brokers, partitions: PARTITIONS, replicationFactor: 1 };
  const open = (prefix: string) => openKafka({ ...settings, prefix, retentionMs: DAY_MS, logger: silent });
  const ours = open('ours');
  const engine = open('engine');
  try {
    await Promise.all([store.start(), ours.log.start(), ours.table.start(), engine.log.start()]);
    const owner = await ours.table.claim('control');
    await owner.write('resources', registrations(SITES));
    await store.derive(`CREATE TABLE plumbline.bench_engine (sealed String) ENGINE = Kafka SETTINGS
      kafka_broker_list = '${kafka.brokers.join(',')}', kafka_topic_list = '${ENGINE_TOPIC}',
      kafka_group_name = 'bench', kafka_format = 'RawBLOB', kafka_flush_interval_ms = 500`);
    const aggregator = await startAggregator({ ...ours, store });
    const rates: Rates = { ours: [], engine: [] };
    for (let round = 0; round < WARM_UP + ROUNDS; round++) {
      const count = SITES * EACH;
      const records = (turn: number) => sealedRecords(reportsOf(2 * round + turn, SITES, EACH, Date.now()));
      await ours.log.append('reports', records(1));
      const own = await settled(store, aggregator.catchUp);
      await engine.log.append('reports', records(2));
      const theirs = await settled(store, () => consume(store, count));
      if (round < WARM_UP) continue;
      rates.ours.push(count / own);
      rates.engine.push(count / theirs);
    }
    await aggregator.stop();
    await compareRows(store);
    return result(rates);
  } finally {
    await Promise.allSettled([ours.table.stop(), ours.log.stop(), engine.log.stop()]);
    await store.derive('DROP TABLE IF EXISTS plumbline.bench_engine SYNC');
    await store.stop();
    await kafka.stop();
    await rm(dir, { recursive: true, force: true });
  }
}

type Rates = { ours: number[]; engine: number[] };

/** Lets the engine read while a view stands behind it, until everything is in the table. */
async function consume(store: Store, count: number): Promise<void> {
  const before = await stored(store);
  await store.derive(
    `CREATE MATERIALIZED VIEW plumbline.bench_view TO plumbline.report AS ${FLATTEN('plumbline.bench_engine')}`,
  );
  const deadline = performance.now() + 60_000;
  while ((await stored(store)) < before + count) {
    if (performance.now() > deadline) throw new Error('the engine did not store everything within 60 s');
    await sleep(100);
  }
  await store.derive('DROP VIEW plumbline.bench_view SYNC');
}

/** The two are only worth comparing if they wrote the same: odd rounds of reports are ours, even ones the engine's. */
async function compareRows(store: Store): Promise<void> {
  const sums = await store.query<Record<string, unknown>>(
    `SELECT uniqExact(tuple(site, boot, seq)) AS rows, sum(seq + interval_ms + held_seq + uptime_s + net_rx_bytes + net_tx_bytes) AS totals,
      sum(cpu_bp + memory_bp + swap_bp + disk_bp + pressure_cpu_bp + pressure_io_bp) AS gauges,
      sum(arraySum(link_requests) + arraySum(link_losses) + arraySum(link_errors) + arraySum(link_up)) AS links,
      sum(arraySum(link_p50_us) + arraySum(link_p90_us) + arraySum(link_p99_us)) AS latencies, sum(cityHash64(link_name, kind, lane)) AS names
    FROM plumbline.report GROUP BY toUInt32(substring(boot, 1, 8)) % 2`,
  );
  const [one, other] = sums.map((sum) => JSON.stringify(sum));
  if (one !== other) throw new Error(`the engine wrote other rows than the aggregator: ${one} and ${other}`);
}

/** Rows in parts, which costs next to nothing to ask. */
async function stored(store: Store): Promise<number> {
  const [row] = await store.query<{ n: number }>(
    "SELECT toUInt32(sum(rows)) AS n FROM system.parts WHERE database = 'plumbline' AND table = 'report' AND active",
  );
  return row?.n ?? 0;
}

function result({ ours, engine }: Rates): BenchResult {
  const row = (what: string, values: number[], ratio: string) => [
    what,
    `${(median(values) / 1000).toFixed(1)}k`,
    `${(Math.min(...values) / 1000).toFixed(1)}k to ${(Math.max(...values) / 1000).toFixed(1)}k`,
    ratio,
  ];
  const ratio = median(ours.map((one, i) => one / (engine[i] ?? Number.NaN)));
  return {
    title: "Kafka: the aggregator beside ClickHouse's own Kafka engine",
    columns: ['what', 'reports per CPU-second, median', 'lowest to highest', 'ratio'],
    rows: [
      row('aggregator on Kafka, everything included', ours, ratio.toFixed(2)),
      row('Kafka engine and materialized view, flattening only', engine, '1'),
    ],
    notes: [
      `${ours.length} interleaved rounds of ${SITES * EACH} reports from ${SITES} sites in ${PARTITIONS} partitions; the ratio is the median of paired rounds (goal 1.2).`,
      'Both fill the same table with the same views behind it; the broker is not counted. The engine checks no MAC, shape, identity or clock, keeps no account, gives no score and publishes no state; it does hash the payload.',
    ],
  };
}
