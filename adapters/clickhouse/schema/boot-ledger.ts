import { DATABASE, SMALL_PARTS } from './database.ts';

/*
 * Which reports of each boot of a site are stored, what the boot said of its predecessor and its spool, and what its newest
 * report said: the ledger, and the source of view `site_current`. Folded as site_minute is: see there. A row covers a
 * bucket of sequence numbers, about a day at 10 s, so that merges need not touch what is full. Read it through the views
 * `boot_ledger` and `site_current`.
 */
export const LEDGER_BUCKET = 8192;

/** In the order of the tuple whose maximum is kept. */
const NEWEST: Readonly<Record<string, { type: string; value?: string }>> = {
  seq: { type: 'UInt64' },
  first_received: { type: 'Int64', value: '-toUnixTimestamp64Milli(received_at)' },
  ts_ms: { type: 'Int64', value: 'toUnixTimestamp64Milli(ts)' },
  held_boot: { type: 'String' },
  held_seq: { type: 'UInt64' },
  kind: { type: 'String' },
  interval_ms: { type: 'UInt32' },
  clock_offset_ms: { type: 'Nullable(Int32)' },
  missed: { type: 'UInt8' },
  score: { type: 'Nullable(UInt8)' },
  shown: { type: 'Nullable(UInt8)' },
  connectivity: { type: 'Nullable(UInt8)' },
  reliability: { type: 'Nullable(UInt8)' },
  security: { type: 'Nullable(UInt8)' },
  performance: { type: 'Nullable(UInt8)' },
  cpu_bp: { type: 'Nullable(Int32)' },
  memory_bp: { type: 'Nullable(Int32)' },
  disk_bp: { type: 'Nullable(Int32)' },
  uptime_s: { type: 'UInt32' },
  links_total: { type: 'UInt8', value: 'toUInt8(length(link_up))' },
  links_up: { type: 'UInt8', value: 'toUInt8(arraySum(link_up))' },
};

const newestType = Object.entries(NEWEST)
  .map(([name, { type }]) => `${name} ${type}`)
  .join(', ');
const newestValues = Object.entries(NEWEST)
  .map(([name, { value }]) => value ?? name)
  .join(', ');

export const BOOT_LEDGER: readonly string[] = [
  `CREATE TABLE IF NOT EXISTS ${DATABASE}.boot_ledger_agg (
    site String,
    boot String,
    bucket UInt64 CODEC(Delta, Default),
    stored AggregateFunction(groupBitmap, UInt16),
    prev SimpleAggregateFunction(max, Tuple(boot String, seq UInt64)),
    newest SimpleAggregateFunction(max, Tuple(${newestType})),
    ts_min SimpleAggregateFunction(min, DateTime64(3, 'UTC')) CODEC(Delta, Default),
    ts_max SimpleAggregateFunction(max, DateTime64(3, 'UTC')) CODEC(Delta, Default)
  ) ENGINE = AggregatingMergeTree ORDER BY (site, boot, bucket)
  TTL toDateTime(ts_max) + INTERVAL 400 DAY SETTINGS ${SMALL_PARTS}`,
  `CREATE MATERIALIZED VIEW IF NOT EXISTS ${DATABASE}.boot_ledger_mv TO ${DATABASE}.boot_ledger_agg AS SELECT
    site, boot, intDiv(seq, ${LEDGER_BUCKET}) AS bucket,
    bitmapBuild([toUInt16(seq % ${LEDGER_BUCKET})]) AS stored,
    tuple(prev_boot, prev_seq) AS prev,
    tuple(${newestValues}) AS newest,
    ts AS ts_min, ts AS ts_max
  FROM ${DATABASE}.report`,
];
