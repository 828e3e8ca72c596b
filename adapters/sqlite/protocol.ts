import type { TopicName } from '../../core/ports/log.ts';
import type { TableName } from '../../core/ports/table.ts';
import type { Packed } from './packed.ts';

/*
 * What the main thread asks of the thread that has the file. Requests are answered in the order they were sent; every
 * `apply` is one transaction on disk, however many edits it carries.
 */

export type Place = { topic: TopicName; partition: number; offset: number };
/** `bytes` are those of its values when the file was opened. */
export type Span = { topic: TopicName; partition: number; low: number; next: number; bytes: number };

export type Edit =
  | { kind: 'append'; topic: TopicName; partitions: readonly number[]; packed: Packed }
  | { kind: 'commit'; group: string; places: readonly Place[] }
  | { kind: 'write'; table: TableName; owner: { role: string; epoch: number } | null; packed: Packed }
  | { kind: 'claim'; role: string };

export type EditResult =
  | { kind: 'appended'; heads: readonly Place[] }
  | { kind: 'done' }
  | { kind: 'fenced' }
  | { kind: 'claimed'; epoch: number };

export type ReadResult = {
  topics: readonly TopicName[];
  partitions: readonly number[];
  offsets: readonly number[];
  appendedAtMs: readonly number[];
  packed: Packed;
};

/** How long a topic keeps its records, and whether it is among those that share the bound on bytes. */
export type RetentionRule = { topic: TopicName; keepMs: number; countsBytes: boolean };

export interface Calls {
  open: { ask: { path: string; partitions: number }; answer: { spans: Span[] } | { locked: string } };
  apply: { ask: { atMs: number; edits: readonly Edit[] }; answer: EditResult[] };
  read: { ask: { from: readonly Place[]; maxRecords: number; maxBytes: number }; answer: ReadResult };
  positions: { ask: { group: string }; answer: Place[] };
  load: { ask: { table: TableName }; answer: Packed };
  retain: {
    ask: { nowMs: number; rules: readonly RetentionRule[]; maxBytes: number; maxRecords: number };
    answer: { lows: Place[]; removed: number; heldBytes: number };
  };
  close: { ask: null; answer: null };
}

export type Request = { [K in keyof Calls]: { id: number; call: K; ask: Calls[K]['ask'] } }[keyof Calls];
export type Reply = { id: number; answer: never } | { id: number; error: string };
