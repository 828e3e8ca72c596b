import type { ClickHouseClient } from '@clickhouse/client';
import type { QueryLane } from '../../core/ports/store.ts';

/** What a read of a lane may take. */
export type ReadLimits = { timeS: number; memoryBytes: number };
export type LaneLimits = Readonly<Record<QueryLane, ReadLimits>>;

export const LANE_LIMITS: LaneLimits = {
  reader: { timeS: 10, memoryBytes: 1_000_000_000 },
  replay: { timeS: 120, memoryBytes: 2_000_000_000 },
};
export const READS_PER_LANE = 2;

/**
 * Connections to one database, apart by purpose, because calls through one client run one after the other. `deriver`
 * writes as `writer` does, and is its own so that a long census never holds up inserts.
 */
export type Clients = {
  writer: ClickHouseClient;
  deriver: ClickHouseClient;
  reader: readonly ClickHouseClient[];
  replay: readonly ClickHouseClient[];
  /** Inserts one Native block; the bytes may be used again once it settled. */
  insertBlock(table: string, columns: readonly string[], structure: string, block: Uint8Array): Promise<void>;
  /** To be called once all tables are there: what this kind of store does to where they lie. */
  settle(): Promise<void>;
  close(): Promise<void>;
};

type Settings = Record<string, string | number>;

/** Of every connection. Integers as numbers: nothing that views show exceeds what JavaScript counts exactly. */
const COMMON: Settings = {
  output_format_json_quote_64bit_integers: 0,
  async_insert: 0,
  max_partitions_per_insert_block: 1000,
  // Whatever has one identity is in one partition, so nothing has to be compared across them.
  do_not_merge_across_partitions_select_final: 1,
};

/** One thread, because batches are small and a pipeline of many costs more than it saves. */
export const WRITER_SETTINGS: Settings = {
  ...COMMON,
  max_threads: 1,
  max_insert_threads: 1,
  input_format_parallel_parsing: 0,
  // Folding a batch before it is written is wasted: a site is in it once.
  optimize_on_insert: 0,
};

/** A census may be slow, but not stuck. */
export const DERIVE_TIMEOUT_S = 300;
export const DERIVER_SETTINGS: Settings = {
  ...COMMON,
  max_threads: 1,
  max_execution_time: DERIVE_TIMEOUT_S,
  max_memory_usage: 2_000_000_000,
};

/** Read-only, so that no query text can write or reach a file. */
export function readSettings({ timeS, memoryBytes }: ReadLimits, threads: number): Settings {
  return {
    ...COMMON,
    max_threads: threads,
    max_execution_time: timeS,
    max_memory_usage: memoryBytes,
    readonly: 1,
  };
}
