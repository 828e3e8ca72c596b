import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Baseline, learnBaseline, learnedMs } from '../../core/link-baseline.ts';

const good = (p50Ms: number) => ({
  window: { requests: 30, losses: 0, errors: 0 },
  latency: { p50Ms, p90Ms: p50Ms, p99Ms: p50Ms },
});

function learn(from: Baseline | null, p50Ms: number, windows: number, elapsedMs = 10_000): Baseline | null {
  let known = from;
  for (let index = 0; index < windows; index += 1) known = learnBaseline(known, good(p50Ms), elapsedMs);
  return known;
}

describe("a link's baseline", () => {
  it('is learned from thirty good windows and not before', () => {
    expect(learnedMs(learn(null, 12, 29))).toBe(null);
    expect(learnedMs(learn(null, 12, 30))).toBe(12);
  });

  it('learns nothing from a window with a loss, an error or too few attempts', () => {
    const known = learn(null, 12, 100);
    for (const window of [
      { requests: 30, losses: 1, errors: 0 },
      { requests: 30, losses: 0, errors: 1 },
      { requests: 4, losses: 0, errors: 0 },
    ])
      expect(learnBaseline(known, { ...good(500), window }, 10_000)).toBe(known);
  });

  it('hardly moves in an hour of congestion, and follows a new route within two days', () => {
    const known = learn(null, 10, 10_000);
    expect(learnedMs(learn(known, 200, 360))).toBeLessThan(12);
    expect(learnedMs(learn(known, 40, 2 * 8640))).toBeGreaterThan(36);
  });

  it('stays between the least and the most it saw', () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: 0.1, max: 1000, noNaN: true }), { minLength: 1 }), (seen) => {
        let known: Baseline | null = null;
        for (const p50Ms of seen) known = learnBaseline(known, good(p50Ms), 10_000);
        expect(known?.usualMs).toBeGreaterThanOrEqual(Math.min(...seen) - 1e-9);
        expect(known?.usualMs).toBeLessThanOrEqual(Math.max(...seen) + 1e-9);
      }),
    );
  });
});
