import type { DroppedRange, Position } from './model/report.ts';
import { bootCounter } from './model/site.ts';

/** Of two boots, the one whose counter is larger came later. Zero is the same boot, or two that claim one counter. */
export function compareBoots(a: string, b: string): number {
  return bootCounter(a) - bootCounter(b);
}

/** Whether `a` was made after `b`: by boot, then by sequence number. */
export function isNewer(a: Position, b: Position): boolean {
  const boots = compareBoots(a.boot, b.boot);
  return boots === 0 ? a.boot === b.boot && a.seq > b.seq : boots > 0;
}

/** Start of the minute that a time lies in, epoch ms. */
export function minuteOf(atMs: number): number {
  return Math.floor(atMs / 60_000) * 60_000;
}

/** How long after its end a minute still takes rows before it is counted. */
const MINUTE_GRACE_MS = 15_000;

/** Whether the minute of `ts` had been counted, or could have been, by `atMs`: then it has to be counted again. */
export function isLate(ts: number, atMs: number): boolean {
  return minuteOf(ts) + 60_000 + MINUTE_GRACE_MS < atMs;
}

/** The ranges of `now` that `before` does not have just so. A range that grew is new. */
export function newRanges(now: readonly DroppedRange[], before: readonly DroppedRange[]): DroppedRange[] {
  return now.filter(
    ({ boot, from, to }) =>
      !before.some((known) => known.boot === boot && known.from === from && known.to === to),
  );
}
