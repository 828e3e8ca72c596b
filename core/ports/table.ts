/*
 * A durable map from key to value, kept as a compacted log: the configuration database.
 *
 * - `write` resolves when the entries are durable, and applies them in order. A null value deletes the key.
 * - A view holds every entry in memory, follows changes in order, and is caught up once it has seen everything that had
 *   been written when it was opened. Roles act only on a view that is caught up. Listeners run after the map has changed;
 *   one that throws ends the process, so it does nothing but note what to do.
 * - Several writes of one key may reach a view as the last one only (compaction); a view never goes back to an older one.
 * - An owner is the one process that holds a role. `claim` makes all earlier owners of that role powerless: their next
 *   write rejects with `fenced`, also when it was already under way, and never becomes visible. Writing to an owned table
 *   (all but `state`) takes an owner; `state` is written without one, by whichever aggregator has the site's partition.
 */

export const TABLES = ['resources', 'specs', 'targets', 'state'] as const;
export type TableName = (typeof TABLES)[number];

export type TableEntry = { key: string; value: Uint8Array | null };

export interface TableView {
  get(key: string): Uint8Array | undefined;
  entries(): IterableIterator<[string, Uint8Array]>;
  readonly size: number;
  /** Calls back with the keys of each group of changes. Returns what stops it. */
  onChange(listener: (keys: readonly string[]) => void): () => void;
  close(): Promise<void>;
}

export class TableError extends Error {
  readonly code: 'fenced' | 'too-large' | 'unavailable' | 'locked' | 'closed';
  constructor(code: 'fenced' | 'too-large' | 'unavailable' | 'locked' | 'closed', message: string) {
    super(message);
    this.name = 'TableError';
    this.code = code;
  }
}

export interface TableOwner {
  readonly role: string;
  write(table: TableName, entries: readonly TableEntry[]): Promise<void>;
  /** Lets go without fencing a successor. Idempotent. */
  release(): Promise<void>;
}

export interface Table {
  start(): Promise<void>;
  /** Resolves when the view is caught up. */
  view(table: TableName): Promise<TableView>;
  write(table: 'state', entries: readonly TableEntry[]): Promise<void>;
  claim(role: 'control'): Promise<TableOwner>;
  stop(): Promise<void>;
}
