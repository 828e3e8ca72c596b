import { DATABASE, SMALL_PARTS } from './database.ts';

/*
 * What the census counts (aggregator/census.ts), since absent sites send nothing that a view could count. A row is computed
 * as a whole and replaced as a whole by one of a higher revision.
 */
const NULLABLE_RATIO = 'Nullable(Float32)';

export const ROLLUPS: readonly string[] = [
  `CREATE TABLE IF NOT EXISTS ${DATABASE}.virtual_site_minute_count (
    virtual_site LowCardinality(String),
    minute DateTime('UTC') CODEC(Delta, Default),
    members UInt32, green UInt32, orange UInt32, red UInt32, unknown UInt32,
    score_min Nullable(UInt8), score_p10 Nullable(UInt8), score_p50 Nullable(UInt8), score_p90 Nullable(UInt8),
    score_mean ${NULLABLE_RATIO},
    cpu_histogram Array(UInt32), cpu_p50 ${NULLABLE_RATIO}, cpu_p90 ${NULLABLE_RATIO},
    memory_histogram Array(UInt32), memory_p50 ${NULLABLE_RATIO}, memory_p90 ${NULLABLE_RATIO},
    links_requests UInt64, links_losses UInt64, links_errors UInt64,
    workloads_total UInt64, workloads_down UInt64, workloads_in_progress UInt64, workloads_crash_looping UInt64,
    workloads_waiting_for_image UInt64, workloads_out_of_memory UInt64, workloads_unschedulable UInt64,
    worst Array(Tuple(site String, score UInt8)),
    revision UInt32,
    computed_at DateTime64(3, 'UTC') DEFAULT now64(3)
  ) ENGINE = ReplacingMergeTree(revision) PARTITION BY toYYYYMM(minute) ORDER BY (virtual_site, minute)
  TTL minute + INTERVAL 30 DAY SETTINGS ${SMALL_PARTS}`,
  `CREATE TABLE IF NOT EXISTS ${DATABASE}.virtual_site_hour_count (
    virtual_site LowCardinality(String),
    hour DateTime('UTC') CODEC(Delta, Default),
    minutes UInt16,
    members_max UInt32,
    member_minutes UInt64, green_minutes UInt64, orange_minutes UInt64, red_minutes UInt64, unknown_minutes UInt64,
    score_min Nullable(UInt8), score_mean ${NULLABLE_RATIO},
    cpu_histogram Array(UInt64), memory_histogram Array(UInt64),
    links_requests UInt64, links_losses UInt64, links_errors UInt64,
    workloads_down_max UInt64,
    revision UInt32,
    computed_at DateTime64(3, 'UTC') DEFAULT now64(3)
  ) ENGINE = ReplacingMergeTree(revision) PARTITION BY toYYYYMM(hour) ORDER BY (virtual_site, hour)
  TTL hour + INTERVAL 400 DAY SETTINGS ${SMALL_PARTS}`,
  `CREATE TABLE IF NOT EXISTS ${DATABASE}.site_hour_count (
    site LowCardinality(String),
    hour DateTime('UTC') CODEC(Delta, Default),
    minutes UInt16, reports UInt32,
    score_min Nullable(UInt8), score_mean ${NULLABLE_RATIO},
    cpu_mean ${NULLABLE_RATIO}, cpu_max ${NULLABLE_RATIO},
    memory_mean ${NULLABLE_RATIO}, memory_max ${NULLABLE_RATIO}, disk_max ${NULLABLE_RATIO},
    links_requests UInt64, links_losses UInt64, links_errors UInt64,
    revision UInt32,
    computed_at DateTime64(3, 'UTC') DEFAULT now64(3)
  ) ENGINE = ReplacingMergeTree(revision) PARTITION BY toYYYYMM(hour) ORDER BY (site, hour)
  TTL hour + INTERVAL 400 DAY SETTINGS ${SMALL_PARTS}`,
];
