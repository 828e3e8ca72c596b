import { expect, test } from 'vitest';
import { REDIAL, redialAfterMs } from '../../../adapters/gateway/redial.ts';
import { randomOf } from '../../policy/story.ts';

const SITES = 3000;

/** When each of the sites is back, by virtual time, that lost their hub together at 0; it is back at `backAtMs`. */
function returns(backAtMs: number, seed: number): number[] {
  const random = randomOf(seed);
  return Array.from({ length: SITES }, () => {
    let atMs = redialAfterMs(REDIAL, 'lost', random());
    while (atMs < backAtMs) atMs += redialAfterMs(REDIAL, 'still-away', random());
    return atMs;
  });
}

test.each([100, 3000, 8000, 20_000, 300_000])(
  'a hub that was away for %i ms has 3,000 sites back within an interval, and never more than 400 in a second',
  (backAtMs) => {
    for (const seed of [7, 11, 23]) {
      const times = returns(backAtMs, seed).sort((a, b) => a - b);
      expect((times.at(-1) ?? 0) - backAtMs, `seed ${seed}`).toBeLessThanOrEqual(10_000);
      const busiest = times.reduce(
        (most, atMs, i) => Math.max(most, times.slice(i, i + 1000).filter((one) => one < atMs + 1000).length),
        0,
      );
      expect(busiest, `seed ${seed}`).toBeLessThan(400);
    }
  },
);

test('a site that the hub refuses asks seldom', () => {
  expect([0, 1].map((random) => redialAfterMs(REDIAL, 'refused', random))).toEqual([15_000, 30_000]);
});
