/*
 * An ordered, partitioned, durable log.
 *
 * - A key always goes to the same partition; records of a partition are read in the order they were appended.
 * - `append` resolves only when the records survive a kill of this process (and, on Kafka, when all in-sync replicas have
 *   them). When it rejects, none, some or all may have been stored: append again, readers tolerate repeats.
 * - `appendedAtMs` is stamped by the log, never by the caller, and never goes back within a partition. Retention goes by it.
 * - A group divides the partitions among its subscriptions, and remembers a position per partition. `reports` and `backfill`
 *   are divided alike: whoever reads partition n of one reads partition n of the other.
 * - `next` hands out records after the last handed out ones; what was not committed is handed out again to whoever has the
 *   partition next (redelivery), never skipped. It waits until there is at least one record, at most `maxWaitMs`, then
 *   gives null. One batch at a time: `next` before `commit` of the last batch is a bug and throws.
 * - `commit` moves the positions of one batch, and only forward. It fails with `fenced` when any of its partitions was
 *   taken by another subscription meanwhile; the batch will be redelivered to that one.
 * - `caughtUp` is true when everything that had been appended at the moment of the call was handed out and committed.
 * - A broker that goes away and comes back is not an error of `next`: it gives null until records flow again.
 * - A record over `MAX_RECORD_BYTES` is refused with `too-large` before anything of its call is stored.
 * - SQLite's retention, by age and by bytes, takes nothing that a group which has ever subscribed to the topic has yet to
 *   commit. Where the bound on bytes leaves no room then, `append` is refused with `unavailable`, so that sites keep their
 *   reports. Kafka's retention is the broker's own, goes by age, and waits for nobody.
 * - A position that retention has overtaken continues at the oldest record that is left, and the batch says how many
 *   records were `skipped`, so that the loss is seen.
 * - An embedded log belongs to one process: `start` rejects with `locked` where another has it, naming the place.
 */

export const TOPICS = ['reports', 'backfill', 'commands'] as const;
export type TopicName = (typeof TOPICS)[number];

/** Kafka's usual bound on a message, less room for its envelope. */
export const MAX_RECORD_BYTES = 1_000_000;

export type NewRecord = { key: string; value: Uint8Array };

export type LogRecord = {
  topic: TopicName;
  partition: number;
  /** Position in the partition. A bigint in Kafka; safe as a number for 285 years at a million records a second. */
  offset: number;
  key: string;
  value: Uint8Array;
  appendedAtMs: number;
};

/** Records of any of the subscription's partitions, in order within each. */
export type LogBatch = { records: readonly LogRecord[]; skipped: number };

export type SubscribeOptions = {
  group: string;
  topics: readonly TopicName[];
  maxRecords: number;
  maxWaitMs: number;
};

export interface Subscription {
  next(signal?: AbortSignal): Promise<LogBatch | null>;
  commit(batch: LogBatch): Promise<{ ok: true } | { ok: false; code: 'fenced' }>;
  caughtUp(): Promise<boolean>;
  /** Records appended but not yet committed, over its partitions. */
  lag(): Promise<number>;
  /** Idempotent. Gives its partitions back; what was not committed goes to the others. */
  close(): Promise<void>;
}

export class LogError extends Error {
  readonly code: 'too-large' | 'unavailable' | 'locked' | 'closed';
  constructor(code: 'too-large' | 'unavailable' | 'locked' | 'closed', message: string) {
    super(message);
    this.name = 'LogError';
    this.code = code;
  }
}

export interface Log {
  /** Makes what is missing (topics, files). Idempotent; two processes may do it at once. */
  start(): Promise<void>;
  append(topic: TopicName, records: readonly NewRecord[]): Promise<void>;
  subscribe(options: SubscribeOptions): Promise<Subscription>;
  /** Removes what retention allows now. Kafka does it by itself; SQLite when told. */
  retain(): Promise<void>;
  /** Idempotent; flushes. */
  stop(): Promise<void>;
}
