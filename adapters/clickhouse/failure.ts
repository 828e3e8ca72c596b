import { StoreError } from '../../core/ports/store.ts';

/** TOO_MANY_ROWS, TIMEOUT_EXCEEDED, TOO_SLOW, MEMORY_LIMIT_EXCEEDED, TOO_MANY_BYTES, TOO_MANY_ROWS_OR_BYTES */
const LIMIT_CODES = new Set(['158', '159', '160', '241', '307', '396']);
/** CANNOT_READ/WRITE/OPEN file, TOO_MANY_SIMULTANEOUS_QUERIES, NETWORK_ERROR, TABLE_IS_READ_ONLY, NOT_ENOUGH_SPACE, TOO_MANY_PARTS */
const UNAVAILABLE_CODES = new Set(['74', '75', '76', '202', '209', '210', '242', '243', '252']);

/** What a caller can act on, from whatever a client rejected with. Expected at this border, so told apart by code. */
export function storeError(cause: unknown): StoreError {
  if (cause instanceof StoreError) return cause;
  const message = cause instanceof Error ? cause.message : String(cause);
  const code = serverCode(cause);
  if (code === null || UNAVAILABLE_CODES.has(code)) return new StoreError('unavailable', message);
  return new StoreError(LIMIT_CODES.has(code) ? 'limit' : 'rejected', message);
}

/** ClickHouse's own code. By shape and not by class: chdb brings another copy of the client's error. */
function serverCode(cause: unknown): string | null {
  if (!(cause instanceof Error) || !('code' in cause)) return null;
  return typeof cause.code === 'string' && /^\d+$/.test(cause.code) ? cause.code : null;
}
