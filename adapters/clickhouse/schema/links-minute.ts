import { DATABASE, SMALL_PARTS } from './database.ts';

/*
 * Counters and quantiles of a site's links in a minute, apart by epoch, for a counter that starts again is another one.
 * Folded as site_minute is: see there. Read it through view `links_minute`.
 */
export const LINKS_MINUTE: readonly string[] = [
  `CREATE TABLE IF NOT EXISTS ${DATABASE}.links_minute_agg (
    site String,
    link String,
    minute DateTime('UTC') CODEC(Delta, Default),
    epoch UInt64 CODEC(Delta, Default),
    requests_max SimpleAggregateFunction(max, UInt64) CODEC(Delta, Default),
    losses_max SimpleAggregateFunction(max, UInt64) CODEC(Delta, Default),
    errors_max SimpleAggregateFunction(max, UInt64) CODEC(Delta, Default),
    up_min SimpleAggregateFunction(min, UInt8),
    p50_us_max SimpleAggregateFunction(max, UInt32) CODEC(Delta, Default),
    p90_us_max SimpleAggregateFunction(max, UInt32) CODEC(Delta, Default),
    p99_us_max SimpleAggregateFunction(max, UInt32) CODEC(Delta, Default),
    last SimpleAggregateFunction(max, Tuple(ts_ms Int64, up UInt8, p50_us UInt32, p90_us UInt32, p99_us UInt32))
  ) ENGINE = AggregatingMergeTree PARTITION BY toYYYYMMDD(minute) ORDER BY (toStartOfHour(minute), site, link, minute, epoch)
  TTL minute + INTERVAL 30 DAY SETTINGS ttl_only_drop_parts = 1, ${SMALL_PARTS}`,
  `CREATE MATERIALIZED VIEW IF NOT EXISTS ${DATABASE}.links_minute_mv TO ${DATABASE}.links_minute_agg AS SELECT
    site, link, toStartOfMinute(ts) AS minute, epoch,
    requests AS requests_max, losses AS losses_max, errors AS errors_max, up AS up_min,
    p50_us AS p50_us_max, p90_us AS p90_us_max, p99_us AS p99_us_max,
    tuple(toUnixTimestamp64Milli(ts), up, p50_us, p90_us, p99_us) AS last
  FROM ${DATABASE}.report ARRAY JOIN
    link_name AS link, link_epoch AS epoch, link_requests AS requests, link_losses AS losses, link_errors AS errors,
    link_up AS up, link_p50_us AS p50_us, link_p90_us AS p90_us, link_p99_us AS p99_us`,
];
