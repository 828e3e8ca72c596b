import type { Link } from './model/report.ts';

/** How one attempt on a link ended. `loss` is no answer, `error` an answer that was a failure; `why` is for a person. */
export type Attempt = { outcome: 'answer'; latencyMs: number } | { outcome: 'loss' | 'error'; why: string };

/** The bounds of the window that is scored. */
export const WINDOW_REQUESTS = 60;
export const WINDOW_MS = 60_000;

type Timed = { atMs: number; attempt: Attempt };
type Counts = Link['window'];

export type LinkSummary = Pick<Link, 'up' | 'requests' | 'losses' | 'errors' | 'window' | 'latency'> & {
  lastError: string | null;
};

/**
 * The attempts of one link: totals since it was made, and a sliding window of the newest. Times are monotonic and given
 * by the caller, who adds attempts in the order they ended.
 */
export function createLinkWindow(): {
  add(attempt: Attempt, atMs: number): void;
  /** What holds now; null before the first attempt ended. `up` is about the attempts since the last summary. */
  summarize(nowMs: number): LinkSummary | null;
} {
  let window: Timed[] = [];
  const totals = counts([]);
  let sinceSummary: Attempt[] = [];
  let up = true;

  return {
    add(attempt, atMs) {
      window.push({ atMs, attempt });
      sinceSummary.push(attempt);
      totals.requests += 1;
      if (attempt.outcome === 'loss') totals.losses += 1;
      if (attempt.outcome === 'error') totals.errors += 1;
      if (window.length > WINDOW_REQUESTS) window.shift();
      if (sinceSummary.length > WINDOW_REQUESTS) sinceSummary.shift();
    },
    summarize(nowMs) {
      if (totals.requests === 0) return null;
      window = window.filter(({ atMs }) => nowMs - atMs <= WINDOW_MS);
      // No attempt ended in this interval: nothing contradicts what was last seen.
      if (sinceSummary.length > 0) up = sinceSummary.some(({ outcome }) => outcome !== 'loss');
      sinceSummary = [];
      const attempts = window.map(({ attempt }) => attempt);
      const latency = quantiles(
        attempts.flatMap((attempt) => (attempt.outcome === 'answer' ? [attempt.latencyMs] : [])),
      );
      const failed = attempts.filter((attempt) => attempt.outcome !== 'answer').at(-1);
      return {
        up,
        ...totals,
        window: counts(attempts),
        ...(latency && { latency }),
        lastError: failed?.why ?? null,
      };
    },
  };
}

function counts(attempts: readonly Attempt[]): Counts {
  return {
    requests: attempts.length,
    losses: attempts.filter(({ outcome }) => outcome === 'loss').length,
    errors: attempts.filter(({ outcome }) => outcome === 'error').length,
  };
}

/** Nearest-rank quantiles, to a hundredth of a millisecond. */
function quantiles(latencies: readonly number[]): Link['latency'] {
  if (latencies.length === 0) return undefined;
  const sorted = [...latencies].sort((a, b) => a - b);
  const at = (q: number): number => Math.round((sorted[Math.ceil(q * sorted.length) - 1] ?? 0) * 100) / 100;
  return { p50Ms: at(0.5), p90Ms: at(0.9), p99Ms: at(0.99) };
}
