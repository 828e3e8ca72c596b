import type { Clock } from '../../core/ports/clock.ts';

/** Newest measurements that are compared; at one every ten seconds, those of the last minute. */
const SAMPLES = 6;

/**
 * The hub's clock by Cristian's algorithm (https://doi.org/10.1007/BF01784024): of the newest exchanges the quickest one,
 * whose error is at most half its round trip. Kept against the monotonic clock, so that a step of this machine's wall
 * clock changes the offset at once and corrected time not at all. A machine that was suspended is behind by as much
 * until the next exchange.
 */
export function createHubClock(clock: Clock): {
  /** The hub said `hubTimeMs` in an exchange that began at `sentMonoMs` and ends now. */
  observe(hubTimeMs: number, sentMonoMs: number): void;
  offsetMs(): number | null;
} {
  let samples: { roundTripMs: number; hubLessMonoMs: number }[] = [];
  return {
    observe(hubTimeMs, sentMonoMs) {
      const roundTripMs = clock.monoMs() - sentMonoMs;
      samples = [...samples, { roundTripMs, hubLessMonoMs: hubTimeMs - sentMonoMs - roundTripMs / 2 }].slice(
        -SAMPLES,
      );
    },
    offsetMs() {
      const [first, ...rest] = samples;
      if (first === undefined) return null;
      const best = rest.reduce((a, b) => (b.roundTripMs <= a.roundTripMs ? b : a), first);
      return Math.round(best.hubLessMonoMs + clock.monoMs() - clock.nowMs());
    },
  };
}
