import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createTicker } from '../../collectors/ticker.ts';

const clock = { nowMs: () => Date.now(), monoMs: () => performance.now() };
beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance', 'Date'] });
});
afterEach(() => {
  vi.useRealTimers();
});

describe('the ticker', () => {
  it('does not drift, however long a tick takes', async () => {
    const at: number[] = [];
    const startedMs = performance.now();
    const ticker = createTicker({
      intervalMs: 1000,
      clock,
      tick: async () => {
        at.push(Math.round(performance.now() - startedMs));
        await new Promise((resolve) => setTimeout(resolve, 300));
        return true;
      },
    });
    ticker.start();
    await vi.advanceTimersByTimeAsync(4500);
    expect(at).toEqual([0, 1000, 2000, 3000, 4000]);
    expect(ticker.missed()).toBe(0);
    const stopped = ticker.stop();
    await vi.advanceTimersByTimeAsync(5000);
    await stopped;
    expect(at).toHaveLength(5);
  });

  it('leaves out and counts what it could not do in time, and forgets it after thirty ticks', async () => {
    const at: number[] = [];
    const startedMs = performance.now();
    const ticker = createTicker({
      intervalMs: 1000,
      clock,
      tick: async () => {
        at.push(Math.round(performance.now() - startedMs));
        if (at.length === 1) await new Promise((resolve) => setTimeout(resolve, 3200));
        return true;
      },
    });
    ticker.start();
    await vi.advanceTimersByTimeAsync(5500);
    // A timer takes at least a millisecond.
    expect(at).toEqual([0, 3201, 4000, 5000]);
    expect(ticker.missed()).toBe(2);
    await vi.advanceTimersByTimeAsync(30_000);
    expect(ticker.missed()).toBe(0);
    await ticker.stop();
  });

  it('counts a tick that made nothing', async () => {
    const ticker = createTicker({ intervalMs: 1000, clock, tick: async () => false });
    ticker.start();
    await vi.advanceTimersByTimeAsync(2500);
    expect(ticker.missed()).toBe(3);
    await ticker.stop();
  });
});
