import { expect, test } from 'vitest';
import { createPace } from '../../aggregator/pace.ts';

const every = (...intervalsMs: number[]) => intervalsMs.map((interval_ms) => ({ interval_ms }));

test('a batch comes several times within the shortest interval, within bounds', () => {
  expect(createPace()(every(10_000, 60_000), 0)).toBe(2500);
  expect(createPace()(every(60_000, 4000), 0)).toBe(1000);
  expect(createPace()(every(10_000, 1000), 0)).toBe(500);
  expect(createPace()(every(3_600_000), 0)).toBe(2500);
  expect(createPace()(every(), 0)).toBe(500);
});

test('a frequent site counts also for the batches that have no report of it, until it is gone', () => {
  const pace = createPace();
  expect(pace(every(1000), 0)).toBe(500);
  expect(pace(every(10_000), 30_000)).toBe(500);
  expect(pace(every(1000, 10_000), 50_000)).toBe(500);
  expect(pace(every(10_000), 110_000)).toBe(500);
  expect(pace(every(10_000, 4000), 110_001)).toBe(1000);
});
