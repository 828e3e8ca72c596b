import type { ReportRow } from '../core/model/rows.ts';

const LEAST_MS = 500;
/** Never so long that somebody who looks would call it slow. */
const MOST_MS = 2500;
/** A site goes silent after three of its intervals; a batch comes several times within each. */
const OF_INTERVAL = 0.25;
/** The most frequent site counts until it was not heard for so long, since not every batch has a report of it. */
const REMEMBERED_MS = 60_000;

/**
 * How long from one batch to the next. An insert of one row costs as much as hundreds of rows do, so a log is not read as
 * fast as it fills, but by the shortest interval of those who report.
 */
export type Pace = (rows: readonly Pick<ReportRow, 'interval_ms'>[], nowMonoMs: number) => number;

export function createPace(): Pace {
  let shortestMs = Number.POSITIVE_INFINITY;
  let seenAtMs = Number.NEGATIVE_INFINITY;
  return (rows, nowMonoMs) => {
    for (const { interval_ms: intervalMs } of rows) {
      if (intervalMs > shortestMs && nowMonoMs - seenAtMs <= REMEMBERED_MS) continue;
      shortestMs = intervalMs;
      seenAtMs = nowMonoMs;
    }
    // Nothing known yet: as one would wait for the fastest.
    return Number.isFinite(shortestMs)
      ? Math.min(MOST_MS, Math.max(LEAST_MS, shortestMs * OF_INTERVAL))
      : LEAST_MS;
  };
}
