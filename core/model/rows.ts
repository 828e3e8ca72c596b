/*
 * The rows that rooms write to the store: one table each, its columns in order with their ClickHouse types. The adapter
 * makes tables and encoders from this, and derived tables and views beside it (adapters/clickhouse/).
 *
 * Ratios are basis points (`_bp`, 10,000 is all of it) and latencies microseconds (`_us`), because integers compress to a
 * fifth of floats. Times are epoch milliseconds here, DateTime64(3) UTC there. Null means not observed.
 */

/** TypeScript's side of a ClickHouse type. */
type Values = {
  String: string;
  Bytes: Uint8Array;
  'LowCardinality(String)': string;
  UInt8: number;
  UInt16: number;
  UInt32: number;
  UInt64: number;
  Int32: number;
  'DateTime64(3)': number;
  'Nullable(UInt8)': number | null;
  'Nullable(Int32)': number | null;
  'Array(String)': readonly string[];
  'Array(LowCardinality(String))': readonly string[];
  'Array(UInt8)': readonly number[];
  'Array(UInt32)': readonly number[];
  'Array(UInt64)': readonly number[];
  'Array(Int32)': readonly number[];
  'Array(Float32)': readonly number[];
  'Array(DateTime64(3))': readonly number[];
};
/** `Bytes` is ClickHouse's String, written from bytes. */
export type ColumnType = keyof Values;

/** How long a row of table `report` is kept at least, by its `ts`. What is derived of it is kept longer. */
export const REPORTS_KEPT_DAYS = 3;

export const STORE_TABLES = {
  /** One accepted report. Identity (site, boot, seq); partitioned by the day of `ts`. */
  report: {
    site: 'LowCardinality(String)',
    boot: 'LowCardinality(String)',
    seq: 'UInt64',
    ts: 'DateTime64(3)',
    received_at: 'DateTime64(3)',
    lane: 'LowCardinality(String)',
    kind: 'LowCardinality(String)',
    payload_hash: 'String',
    interval_ms: 'UInt32',
    clock_offset_ms: 'Nullable(Int32)',
    missed: 'UInt8',
    /** Empty and 0 on a site's first boot. */
    prev_boot: 'LowCardinality(String)',
    prev_seq: 'UInt64',
    held_boot: 'LowCardinality(String)',
    held_seq: 'UInt64',
    score: 'Nullable(UInt8)',
    shown: 'Nullable(UInt8)',
    connectivity: 'Nullable(UInt8)',
    reliability: 'Nullable(UInt8)',
    security: 'Nullable(UInt8)',
    performance: 'Nullable(UInt8)',
    penalty_component: 'Array(LowCardinality(String))',
    penalty_id: 'Array(LowCardinality(String))',
    penalty_subject: 'Array(String)',
    penalty_points: 'Array(Float32)',
    cpu_bp: 'Nullable(Int32)',
    memory_bp: 'Nullable(Int32)',
    swap_bp: 'Nullable(Int32)',
    disk_bp: 'Nullable(Int32)',
    pressure_cpu_bp: 'Nullable(Int32)',
    pressure_memory_bp: 'Nullable(Int32)',
    pressure_io_bp: 'Nullable(Int32)',
    uptime_s: 'UInt32',
    net_rx_bytes: 'UInt64',
    net_tx_bytes: 'UInt64',
    workloads_total: 'Nullable(Int32)',
    workloads_down: 'Nullable(Int32)',
    workloads_in_progress: 'Nullable(Int32)',
    workloads_crash_looping: 'Nullable(Int32)',
    workloads_waiting_for_image: 'Nullable(Int32)',
    workloads_out_of_memory: 'Nullable(Int32)',
    workloads_unschedulable: 'Nullable(Int32)',
    link_name: 'Array(LowCardinality(String))',
    link_up: 'Array(UInt8)',
    link_epoch: 'Array(UInt64)',
    link_requests: 'Array(UInt64)',
    link_losses: 'Array(UInt64)',
    link_errors: 'Array(UInt64)',
    /** 0 when nothing answered. */
    link_p50_us: 'Array(UInt32)',
    link_p90_us: 'Array(UInt32)',
    link_p99_us: 'Array(UInt32)',
    /** The report's raw JSON, from which everything above can be computed again. */
    payload: 'Bytes',
  },
  /** A record that was refused. Identity (site, received_at, record_hash): where it came from, when, and what it was. */
  quarantine: {
    /** The key it came under: the site that sent it. */
    site: 'LowCardinality(String)',
    received_at: 'DateTime64(3)',
    record_hash: 'String',
    lane: 'LowCardinality(String)',
    /** QUARANTINE_REASONS of aggregator's steps, as `mac`, `schema`, `clock`, `conflict`. */
    reason: 'LowCardinality(String)',
    detail: 'String',
    /** What it claims to be, so that the ledger can account for it; empty and 0 when it can't be told. */
    boot: 'LowCardinality(String)',
    seq: 'UInt64',
    size_bytes: 'UInt32',
    /** Its first 4 kB. */
    sample: 'Bytes',
  },
  /** Sequence numbers that a site said it dropped. Identity (site, boot, from_seq); the one with the largest to_seq counts. */
  gap: {
    site: 'LowCardinality(String)',
    boot: 'LowCardinality(String)',
    from_seq: 'UInt64',
    to_seq: 'UInt64',
    noticed_at: 'DateTime64(3)',
  },
  /** See FleetEvent. Identity (at, id). */
  event: {
    id: 'String',
    at: 'DateTime64(3)',
    kind: 'LowCardinality(String)',
    severity: 'LowCardinality(String)',
    site: 'LowCardinality(String)',
    virtual_site: 'LowCardinality(String)',
    by: 'String',
    message: 'String',
  },
  /**
   * What one accepted report said of one policy. Identity (site, boot, seq, policy_kind, policy); partitioned by the day of
   * `ts`. `detail` is the PolicyStatus as JSON, from which the rest was taken.
   */
  policy_report: {
    site: 'LowCardinality(String)',
    boot: 'LowCardinality(String)',
    seq: 'UInt64',
    ts: 'DateTime64(3)',
    received_at: 'DateTime64(3)',
    interval_ms: 'UInt32',
    clock_offset_ms: 'Nullable(Int32)',
    score: 'Nullable(UInt8)',
    /** Observations that the report's policy probe lost, and 1 when it failed. */
    lost: 'UInt32',
    enforcement: 'LowCardinality(String)',
    policy_kind: 'LowCardinality(String)',
    policy: 'LowCardinality(String)',
    seen_epoch: 'UInt32',
    seen_n: 'UInt64',
    generation: 'UInt64',
    digest: 'LowCardinality(String)',
    mode: 'LowCardinality(String)',
    phase: 'LowCardinality(String)',
    live: 'UInt8',
    workloads: 'UInt32',
    counter_epoch: 'UInt64',
    rule: 'Array(LowCardinality(String))',
    hits: 'Array(UInt64)',
    probe_hits: 'Array(UInt64)',
    denies: 'UInt64',
    probe_denies: 'UInt64',
    unexpected_denies: 'UInt64',
    full_sets: 'UInt32',
    detail: 'String',
  },
  /** A total of connections a report gave. Identity (site, boot, seq, workload, direction, address, port, protocol, verdict). */
  flow: {
    site: 'LowCardinality(String)',
    boot: 'LowCardinality(String)',
    seq: 'UInt64',
    ts: 'DateTime64(3)',
    received_at: 'DateTime64(3)',
    workload: 'LowCardinality(String)',
    direction: 'LowCardinality(String)',
    address: 'String',
    name: 'LowCardinality(String)',
    port: 'UInt16',
    protocol: 'LowCardinality(String)',
    verdict: 'LowCardinality(String)',
    connections: 'UInt64',
  },
  /** What a decision about a stage rested on, one row a site. Identity (rollout, stage_key, site, decided_at). Read it through view `rollout_evidence`. */
  site_evidence: {
    /** As Allowlist/payments. */
    rollout: 'LowCardinality(String)',
    /** <generation>/<index of the stage>/<when it began, epoch ms>. */
    stage_key: 'String',
    site: 'LowCardinality(String)',
    decided_at: 'DateTime64(3)',
    verdict: 'LowCardinality(String)',
    reason_code: 'Array(LowCardinality(String))',
    reason_text: 'Array(String)',
    /** SiteEvidence (core/policy/evidence.ts) as JSON. */
    evidence: 'String',
  },
  /** A decision about a stage, with what it takes to make it again. Identity (rollout, stage_key, decided_at). */
  decision: {
    rollout: 'LowCardinality(String)',
    stage_key: 'String',
    decided_at: 'DateTime64(3)',
    verdict: 'LowCardinality(String)',
    reason_text: 'Array(String)',
    verifier_version: 'UInt32',
    /** StageQuestion (core/policy/evidence.ts) as JSON: sites, range, thresholds. */
    question: 'String',
  },
  /** A minute (its start) that got a row after it was counted, so that census counts it again. The store notes when. */
  dirty_minute: { minute: 'DateTime64(3)' },
  /** Membership as intervals, [from_at, to_at). Identity (virtual_site, site, from_at); the largest version counts. An open end is 2100-01-01. */
  membership: {
    virtual_site: 'LowCardinality(String)',
    site: 'LowCardinality(String)',
    from_at: 'DateTime64(3)',
    to_at: 'DateTime64(3)',
    version: 'UInt64',
  },
} as const satisfies Record<string, Record<string, ColumnType>>;

export type StoreTable = keyof typeof STORE_TABLES;
export type RowOf<T extends StoreTable> = {
  -readonly [C in keyof (typeof STORE_TABLES)[T]]: (typeof STORE_TABLES)[T][C] extends ColumnType
    ? Values[(typeof STORE_TABLES)[T][C]]
    : never;
};
export type ReportRow = RowOf<'report'>;
export type QuarantineRow = RowOf<'quarantine'>;
