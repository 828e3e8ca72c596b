import type { LinkSummary } from './link-window.ts';

/** What was learned of a link's usual p50, and from how many windows. */
export type Baseline = { usualMs: number; windows: number };

/** A window with fewer attempts says too little. */
const MIN_REQUESTS = 5;
/** Windows until a baseline is worth comparing with: five minutes at the default interval. */
const LEARNED_AFTER = 30;
/** An observation's weight is halved after this long. */
const HALF_LIFE_MS = 6 * 3_600_000;

/**
 * Learns from one more window: a plain mean at first, an exponential one with a half-life of six hours later. A window
 * with a loss or an error teaches nothing. One slower than twice the usual counts as twice the usual, so that an hour of
 * congestion hardly moves the baseline while a new route is adopted in time.
 */
export function learnBaseline(
  known: Baseline | null,
  summary: Pick<LinkSummary, 'window' | 'latency'>,
  elapsedMs: number,
): Baseline | null {
  const { window, latency } = summary;
  const isBad = window.losses > 0 || window.errors > 0 || window.requests < MIN_REQUESTS;
  if (isBad || latency === undefined) return known;
  if (known === null) return { usualMs: latency.p50Ms, windows: 1 };
  const seenMs =
    known.windows < LEARNED_AFTER ? latency.p50Ms : Math.min(latency.p50Ms, known.usualMs * 2 + 0.1);
  const weight = Math.max(1 / (known.windows + 1), 1 - 0.5 ** (elapsedMs / HALF_LIFE_MS));
  return {
    usualMs: known.usualMs + weight * (seenMs - known.usualMs),
    windows: Math.min(known.windows + 1, 1_000_000),
  };
}

/** The usual p50 in ms once enough was seen. */
export function learnedMs(baseline: Baseline | null): number | null {
  if (baseline === null || baseline.windows < LEARNED_AFTER) return null;
  return Math.round(baseline.usualMs * 100) / 100;
}
