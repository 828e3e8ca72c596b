import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Clock } from '../../core/ports/clock.ts';
import { StoreError } from '../../core/ports/store.ts';
import { openHearing } from '../../main/hearing.ts';

const clock: Clock = { nowMs: () => Date.now(), monoMs: () => Date.now() };

beforeEach(() => {
  vi.useFakeTimers({ now: 0 });
});
afterEach(() => {
  vi.useRealTimers();
});

test('begins anew each time the aggregator has caught up again', async () => {
  let trouble: string | null = null;
  let keepsUp: () => Promise<boolean> = async () => false;
  const hearing = openHearing(clock, { keepsUp: () => keepsUp(), trouble: () => trouble });
  await hearing.start();
  expect(hearing.now().caughtUp).toBe(false);
  keepsUp = async () => true;
  await vi.advanceTimersByTimeAsync(2_000);
  expect(hearing.now()).toEqual({ sinceMs: 1_000, caughtUp: true });
  keepsUp = () => Promise.reject(new StoreError('unavailable', 'away'));
  await vi.advanceTimersByTimeAsync(60_000);
  expect(hearing.now().caughtUp).toBe(false);
  expect(hearing.now().trouble).toBeUndefined();
  trouble = 'insert: full';
  await vi.advanceTimersByTimeAsync(1_000);
  expect(hearing.now()).toMatchObject({ caughtUp: false, trouble });
  trouble = null;
  keepsUp = async () => true;
  await vi.advanceTimersByTimeAsync(5_000);
  expect(hearing.now()).toEqual({ sinceMs: 64_000, caughtUp: true });
  await hearing.stop();
});
