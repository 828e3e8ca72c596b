import type { RowOf, StoreTable } from '../model/rows.ts';

/*
 * Where observations, evidence and events are kept, and asked for in ClickHouse's SQL (database `plumbline`).
 *
 * - `insert` resolves when the rows survive a kill of this process. When it rejects, none, some or all of them, and of what
 *   is derived from them, may be there: insert all of them again. Every table and every rollup ends in the same state
 *   however often and in whatever cuts the same rows are inserted.
 * - `insert` rejects with `unfit` when a row of it can never be taken, however often and with whatever else it is inserted;
 *   any other code says nothing of the rows. Nothing tells which row: insert parts to find it.
 * - One insert is one batch for one table: batch, an insert costs as much as thousands of rows.
 * - Parameters are ClickHouse's own, `{name:Type}` in the SQL; text is never pasted into a query.
 * - Readers never delay the writer. At most two reads of a lane run at a time, further ones wait; one over the time or
 *   memory limit rejects with `limit`.
 * - 64-bit integers come as numbers when safe; columns that may not be are strings in the views.
 */

export type QueryLane = 'reader' | 'replay';
export type QueryParams = Readonly<
  Record<string, string | number | boolean | readonly string[] | readonly number[]>
>;

type StoreErrorCode = 'locked' | 'limit' | 'unavailable' | 'unfit' | 'rejected' | 'closed';

export class StoreError extends Error {
  readonly code: StoreErrorCode;
  constructor(code: StoreErrorCode, message: string) {
    super(message);
    this.name = 'StoreError';
    this.code = code;
  }
}

export interface Store {
  /** Opens, and brings the schema up to date. Another process on the same embedded path is `locked`. */
  start(): Promise<void>;
  insert<T extends StoreTable>(table: T, rows: readonly RowOf<T>[]): Promise<void>;
  /** Rows as objects, one a row, keyed by column name. The caller states their shape, which the SQL beside it determines. */
  query<R extends object>(sql: string, params?: QueryParams, lane?: QueryLane): Promise<R[]>;
  /** For census: an INSERT ... SELECT of a derived table. It never holds up inserts. */
  derive(sql: string, params?: QueryParams): Promise<void>;
  stop(): Promise<void>;
}
