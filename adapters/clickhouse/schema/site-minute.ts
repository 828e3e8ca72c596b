import { DATABASE, SMALL_PARTS } from './database.ts';

/*
 * What is known of a site in a minute. Derived from each `report` row as it comes in, and only by unions of sets, minima
 * and maxima, so that a row that is inserted again, or later, or together with others, changes nothing. The materialized
 * view writes one row a report and leaves it to merges to fold them: grouping a batch in which a site comes once costs
 * more than it saves. Read it through view `site_minute`, which folds what is not merged yet.
 *
 * By hours first, so that one minute of all sites, which the census asks for, reads an hour and not a day; a site's day
 * costs 24 granules for it.
 */

/**
 * A report's number, unique within its site and minute: 24 bits of its boot's hash, 40 of its sequence number. It is not
 * a plain hash, because neighbours compress to a byte.
 */
const REPORT_NUMBER = 'bitOr(bitShiftLeft(cityHash64(boot), 40), bitAnd(seq, 1099511627775))';

/** What the newest report of a minute said. A tuple's maximum goes by its first elements: the identity comes first. */
const LAST: Readonly<Record<string, string>> = {
  boot: 'String',
  seq: 'UInt64',
  /** Of several arrivals of one report the first counts: negative, so that it is the largest. */
  first_received: 'Int64',
  interval_ms: 'UInt32',
  score: 'Nullable(UInt8)',
  shown: 'Nullable(UInt8)',
  connectivity: 'Nullable(UInt8)',
  reliability: 'Nullable(UInt8)',
  security: 'Nullable(UInt8)',
  performance: 'Nullable(UInt8)',
  cpu_bp: 'Nullable(Int32)',
  memory_bp: 'Nullable(Int32)',
  swap_bp: 'Nullable(Int32)',
  disk_bp: 'Nullable(Int32)',
  pressure_cpu_bp: 'Nullable(Int32)',
  pressure_memory_bp: 'Nullable(Int32)',
  pressure_io_bp: 'Nullable(Int32)',
  workloads_total: 'Nullable(Int32)',
  workloads_down: 'Nullable(Int32)',
  workloads_in_progress: 'Nullable(Int32)',
  workloads_crash_looping: 'Nullable(Int32)',
  workloads_waiting_for_image: 'Nullable(Int32)',
  workloads_out_of_memory: 'Nullable(Int32)',
  workloads_unschedulable: 'Nullable(Int32)',
};

const lastType = Object.entries(LAST)
  .map(([name, type]) => `${name} ${type}`)
  .join(', ');
const lastValues = Object.keys(LAST)
  .map((name) => (name === 'first_received' ? '-toUnixTimestamp64Milli(received_at)' : name))
  .join(', ');

export const SITE_MINUTE: readonly string[] = [
  `CREATE TABLE IF NOT EXISTS ${DATABASE}.site_minute_agg (
    site String,
    minute DateTime('UTC') CODEC(Delta, Default),
    report_numbers SimpleAggregateFunction(groupUniqArrayArray, Array(UInt64)) CODEC(Delta, Default),
    last SimpleAggregateFunction(max, Tuple(${lastType})),
    score_min SimpleAggregateFunction(min, Nullable(UInt8)),
    cpu_bp_max SimpleAggregateFunction(max, Nullable(Int32)) CODEC(Delta, T64('bit'), Default),
    memory_bp_max SimpleAggregateFunction(max, Nullable(Int32)) CODEC(Delta, T64('bit'), Default),
    disk_bp_max SimpleAggregateFunction(max, Nullable(Int32)) CODEC(Delta, T64('bit'), Default),
    net_rx_bytes_max SimpleAggregateFunction(max, UInt64) CODEC(Delta, Default),
    net_tx_bytes_max SimpleAggregateFunction(max, UInt64) CODEC(Delta, Default)
  ) ENGINE = AggregatingMergeTree PARTITION BY toYYYYMMDD(minute) ORDER BY (toStartOfHour(minute), site, minute)
  TTL minute + INTERVAL 30 DAY SETTINGS ttl_only_drop_parts = 1, ${SMALL_PARTS}`,
  `CREATE MATERIALIZED VIEW IF NOT EXISTS ${DATABASE}.site_minute_mv TO ${DATABASE}.site_minute_agg AS SELECT
    site,
    toStartOfMinute(ts) AS minute,
    [${REPORT_NUMBER}] AS report_numbers,
    tuple(${lastValues}) AS last,
    score AS score_min, cpu_bp AS cpu_bp_max, memory_bp AS memory_bp_max, disk_bp AS disk_bp_max,
    net_rx_bytes AS net_rx_bytes_max, net_tx_bytes AS net_tx_bytes_max
  FROM ${DATABASE}.report`,
];
