import { describe, expect, it } from 'vitest';
import { type Attempt, createLinkWindow, WINDOW_MS, WINDOW_REQUESTS } from '../../core/link-window.ts';

const answer = (latencyMs: number): Attempt => ({ outcome: 'answer', latencyMs });
const loss: Attempt = { outcome: 'loss', why: 'connection refused' };
const error: Attempt = { outcome: 'error', why: 'answered HTTP 500' };

describe('the window of a link', () => {
  it('knows nothing before the first attempt ended', () => {
    expect(createLinkWindow().summarize(0)).toBe(null);
  });

  it('counts totals for ever, and the window over its bounds', () => {
    const window = createLinkWindow();
    for (let index = 0; index < 100; index += 1) window.add(index < 50 ? loss : answer(index), index);
    expect(window.summarize(100)).toMatchObject({
      requests: 100,
      losses: 50,
      errors: 0,
      window: { requests: WINDOW_REQUESTS, losses: WINDOW_REQUESTS - 50, errors: 0 },
    });
    expect(window.summarize(101 + WINDOW_MS)).toMatchObject({
      requests: 100,
      window: { requests: 0, losses: 0, errors: 0 },
      lastError: null,
    });
    expect(window.summarize(101 + WINDOW_MS)).not.toHaveProperty('latency');
  });

  it('is down when nothing answered in the interval, and up when something did, be it with an error', () => {
    const window = createLinkWindow();
    window.add(answer(1), 0);
    expect(window.summarize(1)?.up).toBe(true);
    expect(window.summarize(2)?.up).toBe(true);
    window.add(loss, 3);
    window.add(error, 4);
    expect(window.summarize(5)).toMatchObject({ up: true, lastError: 'answered HTTP 500' });
    window.add(loss, 5);
    expect(window.summarize(5)).toMatchObject({ up: false });
    expect(window.summarize(6)?.up).toBe(false);
    window.add(loss, 7);
    window.add(answer(1), 8);
    expect(window.summarize(9)?.up).toBe(true);
  });

  it('gives nearest-rank quantiles of the answers', () => {
    const window = createLinkWindow();
    for (let ms = 1; ms <= 50; ms += 1) window.add(answer(51 - ms), ms);
    window.add(loss, 51);
    expect(window.summarize(51)?.latency).toEqual({ p50Ms: 25, p90Ms: 45, p99Ms: 50 });
  });
});
