const MINUTE_MS = 60_000;
/** How long a closed minute waits for reports that are still in the log; later ones mark it dirty. */
const PATIENCE_MS = 5 * MINUTE_MS;

export type Watermark = { minutesThroughMs: number; dirtyThroughMs: number };

/** Where counting begins when nothing was ever counted: with the minute that runs, and with every dirty one. */
export function firstWatermark(nowMs: number): Watermark {
  return { minutesThroughMs: closedThroughMs(nowMs), dirtyThroughMs: 0 };
}

/** The start of the minute that runs: every minute before it is closed. */
function closedThroughMs(nowMs: number): number {
  return Math.floor(nowMs / MINUTE_MS) * MINUTE_MS;
}

/** Whether there is a closed minute to be counted now. */
export function isCensusDue(watermark: Watermark, caughtUp: boolean, nowMs: number): boolean {
  if (closedThroughMs(nowMs) <= watermark.minutesThroughMs) return false;
  return caughtUp || nowMs - watermark.minutesThroughMs > MINUTE_MS + PATIENCE_MS;
}
