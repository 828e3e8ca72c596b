import {
  type ColumnType,
  REPORTS_KEPT_DAYS,
  STORE_TABLES,
  type StoreTable,
} from '../../../core/model/rows.ts';
import { DATABASE, SMALL_PARTS } from './database.ts';

/*
 * The tables that rooms write to, made from STORE_TABLES. Each is a ReplacingMergeTree on the identity of its rows, so that
 * a row inserted again changes nothing. Partitions follow the identity's own time, because merges never cross them.
 */

type Engine = {
  orderBy: string;
  partitionBy?: string;
  version?: string;
  ttl?: string;
  /** Dictionaries make each merge a third dearer, and compressed they save nothing: not where most rows are. */
  plainStrings?: boolean;
};

const ENGINES: Readonly<Record<StoreTable, Engine>> = {
  report: {
    orderBy: 'site, boot, seq',
    partitionBy: 'toYYYYMMDD(ts)',
    version: 'first_received',
    ttl: `toDateTime(ts) + INTERVAL ${REPORTS_KEPT_DAYS} DAY`,
    plainStrings: true,
  },
  quarantine: {
    orderBy: 'site, received_at, record_hash',
    partitionBy: 'toYYYYMMDD(received_at)',
    // As long as the ledger, which would else call what was refused missing.
    ttl: 'toDateTime(received_at) + INTERVAL 400 DAY',
  },
  gap: { orderBy: 'site, boot, from_seq', version: 'to_seq' },
  event: { orderBy: 'at, id', partitionBy: 'toYYYYMM(at)', ttl: 'toDateTime(at) + INTERVAL 400 DAY' },
  dirty_minute: { orderBy: 'minute', version: 'marked_at', ttl: 'toDateTime(marked_at) + INTERVAL 2 DAY' },
  membership: { orderBy: 'virtual_site, site, from_at', version: 'version' },
  policy_report: {
    // Ten minutes of all sites, which an evaluation asks for, lie together; `ts` is a part of what a report says.
    orderBy: 'policy, policy_kind, toStartOfTenMinutes(ts), site, boot, seq',
    partitionBy: 'toYYYYMMDD(ts)',
    version: 'first_received',
    ttl: 'toDateTime(ts) + INTERVAL 14 DAY',
  },
  flow: {
    orderBy: 'site, workload, direction, address, port, protocol, verdict, boot, seq',
    partitionBy: 'toYYYYMMDD(ts)',
    version: 'first_received',
    ttl: 'toDateTime(ts) + INTERVAL 14 DAY',
  },
  site_evidence: {
    orderBy: 'rollout, stage_key, site, decided_at',
    partitionBy: 'toYYYYMM(decided_at)',
    ttl: 'toDateTime(decided_at) + INTERVAL 400 DAY',
  },
  decision: {
    orderBy: 'rollout, stage_key, decided_at',
    partitionBy: 'toYYYYMM(decided_at)',
    ttl: 'toDateTime(decided_at) + INTERVAL 400 DAY',
  },
};

/** Columns that the store fills by itself. */
const FIRST_RECEIVED =
  'first_received Int64 MATERIALIZED -toUnixTimestamp64Milli(received_at) CODEC(Delta, Default)';
const FILLED: Partial<Record<StoreTable, string>> = {
  // Of several arrivals of one report the first counts, however late it was inserted.
  report: FIRST_RECEIVED,
  policy_report: FIRST_RECEIVED,
  flow: FIRST_RECEIVED,
  // When it was inserted and not when someone meant to, so that a watermark over it passes nothing by.
  dirty_minute: "marked_at DateTime64(3, 'UTC') DEFAULT now64(3)",
};

/** `Default` is the engine's: fast for small parts, dense for large ones. Integers are smallest as differences. */
const CODECS: Partial<Record<ColumnType, string>> = {
  Int32: "Delta, T64('bit'), Default",
  'Nullable(Int32)': "Delta, T64('bit'), Default",
  UInt64: 'Delta, Default',
  UInt32: 'Delta, Default',
  'DateTime64(3)': 'Delta, Default',
  Bytes: 'ZSTD',
};

function columnType(type: ColumnType, plainStrings: boolean): string {
  if (type === 'Bytes') return 'String';
  if (plainStrings && type.includes('LowCardinality'))
    return type.replace('LowCardinality(String)', 'String');
  return type.replace('DateTime64(3)', "DateTime64(3, 'UTC')");
}

function createTable(table: StoreTable): string {
  const { orderBy, partitionBy, version, ttl, plainStrings = false } = ENGINES[table];
  const columns = Object.entries(STORE_TABLES[table]).map(([name, type]) => {
    const codec = CODECS[type];
    return `${name} ${columnType(type, plainStrings)}${codec === undefined ? '' : ` CODEC(${codec})`}`;
  });
  const filled = FILLED[table];
  if (filled !== undefined) columns.push(filled);
  return `CREATE TABLE IF NOT EXISTS ${DATABASE}.${table} (
  ${columns.join(',\n  ')}
) ENGINE = ReplacingMergeTree(${version ?? ''})
${partitionBy === undefined ? '' : `PARTITION BY ${partitionBy}\n`}ORDER BY (${orderBy})
${ttl === undefined ? '' : `TTL ${ttl}\n`}SETTINGS ttl_only_drop_parts = ${partitionBy === undefined ? 0 : 1}, ${SMALL_PARTS}`;
}

export const TABLE_STATEMENTS: readonly string[] = [
  createTable('report'),
  createTable('quarantine'),
  createTable('gap'),
  createTable('event'),
  createTable('dirty_minute'),
  createTable('membership'),
];

/** Policies, what became of them, and what was decided. */
export const POLICY_STATEMENTS: readonly string[] = [
  createTable('policy_report'),
  createTable('flow'),
  createTable('site_evidence'),
  createTable('decision'),
];
