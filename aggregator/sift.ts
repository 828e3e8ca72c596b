import type { ReportRow } from '../core/model/rows.ts';
import { type Store, StoreError } from '../core/ports/store.ts';

/**
 * Inserts reports; those that the store never takes are found by halves, so that the others are stored, and given back with
 * what it says of each. Whatever else goes wrong rejects, and all of it may be done again.
 */
export async function insertSifting(
  store: Store,
  rows: readonly ReportRow[],
): Promise<Map<ReportRow, string>> {
  try {
    await store.insert('report', rows);
    return new Map();
  } catch (error) {
    if (!(error instanceof StoreError) || error.code !== 'unfit') throw error;
    const [first] = rows;
    if (first !== undefined && rows.length === 1) return new Map([[first, error.message]]);
  }
  const half = rows.length >> 1;
  const unfit = await insertSifting(store, rows.slice(0, half));
  for (const [row, why] of await insertSifting(store, rows.slice(half))) unfit.set(row, why);
  return unfit;
}
