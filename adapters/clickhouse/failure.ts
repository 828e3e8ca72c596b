import { StoreError } from '../../core/ports/store.ts';

/** TOO_MANY_ROWS, TIMEOUT_EXCEEDED, TOO_SLOW, MEMORY_LIMIT_EXCEEDED, TOO_MANY_BYTES, TOO_MANY_ROWS_OR_BYTES */
const LIMIT_CODES = new Set(['158', '159', '160', '241', '307', '396']);
/** CANNOT_READ/WRITE/OPEN file, TOO_MANY_SIMULTANEOUS_QUERIES, NETWORK_ERROR, TABLE_IS_READ_ONLY, NOT_ENOUGH_SPACE, TOO_MANY_PARTS */
const UNAVAILABLE_CODES = new Set(['74', '75', '76', '202', '209', '210', '242', '243', '252']);
/**
 * What the values of a row alone bring about: CANNOT_PARSE_TEXT/DATE/DATETIME/NUMBER, ARGUMENT_OUT_OF_BOUND,
 * CANNOT_CONVERT_TYPE, TOO_LARGE_ARRAY_SIZE, TOO_LARGE_STRING_SIZE, SIZES_OF_ARRAYS_DONT_MATCH, VALUE_IS_OUT_OF_RANGE,
 * CANNOT_INSERT_NULL, DECIMAL_OVERFLOW, VIOLATED_CONSTRAINT. A code that a table, a grant or a disk may bring about as well
 * has no place here: every report would go to quarantine for it.
 */
const UNFIT_CODES = new Set([
  '6',
  '38',
  '41',
  '69',
  '70',
  '72',
  '128',
  '131',
  '190',
  '321',
  '349',
  '407',
  '469',
]);

/** As `storeError`, of an insert: what its rows are at fault for is told apart. */
export function insertError(cause: unknown): StoreError {
  const code = serverCode(cause);
  if (code === null || !UNFIT_CODES.has(code)) return storeError(cause);
  return new StoreError('unfit', messageOf(cause));
}

/** What a caller can act on, from whatever a client rejected with. Expected at this border, so told apart by code. */
export function storeError(cause: unknown): StoreError {
  if (cause instanceof StoreError) return cause;
  const message = messageOf(cause);
  const code = serverCode(cause);
  if (code === null || UNAVAILABLE_CODES.has(code)) return new StoreError('unavailable', message);
  return new StoreError(LIMIT_CODES.has(code) ? 'limit' : 'rejected', message);
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}

/** ClickHouse's own code. By shape and not by class: chdb brings another copy of the client's error. */
function serverCode(cause: unknown): string | null {
  if (!(cause instanceof Error) || !('code' in cause)) return null;
  return typeof cause.code === 'string' && /^\d+$/.test(cause.code) ? cause.code : null;
}
