import type { Store } from '../../core/ports/store.ts';

/** Marks that one call takes; those of one moment stay together, so it may be as many more as one batch made. */
const MOST_MARKS = 1500;
/**
 * A mark may become visible after a later one has: it is stamped when its insert begins. So the watermark stays this far
 * behind the store's clock, and what was marked since is counted twice.
 */
const OVERLAP_MS = 15_000;

export type Marks = { minutesMs: number[]; dirtyThroughMs: number };

/** Minutes marked after the watermark, oldest marks first, and the watermark that covers them. */
export async function dirtyMinutes(store: Store, dirtyThroughMs: number): Promise<Marks> {
  const rows = await store.query<{ minute_ms: number; marked_ms: number; now_ms: number }>(
    `SELECT toUnixTimestamp64Milli(minute) AS minute_ms, toUnixTimestamp64Milli(marked_at) AS marked_ms,
       toUnixTimestamp64Milli(now64(3)) AS now_ms
     FROM plumbline.dirty_minute FINAL WHERE marked_at > fromUnixTimestamp64Milli({through:Int64})
     ORDER BY marked_at LIMIT ${MOST_MARKS} WITH TIES`,
    { through: dirtyThroughMs },
  );
  const newest = rows.at(-1);
  if (newest === undefined) return { minutesMs: [], dirtyThroughMs };
  return {
    minutesMs: rows.map(({ minute_ms }) => minute_ms).sort((a, b) => a - b),
    dirtyThroughMs: Math.max(dirtyThroughMs, Math.min(newest.marked_ms, newest.now_ms - OVERLAP_MS)),
  };
}
