import { describe, expect, it } from 'vitest';
import type { Site } from '../../core/model/resource.ts';
import type { SiteState } from '../../core/model/site-state.ts';
import { blindStretch } from '../../policy/hub-status.ts';
import { episodeOf, silenceNews } from '../../policy/silence.ts';
import { NOON, siteState } from './control-parts.ts';

const site = (spec: Partial<Site['spec']> = {}): Site => ({
  apiVersion: 'plumbline.io/v1',
  kind: 'Site',
  metadata: {
    name: 'tokyo',
    uid: 'x',
    createdAtMs: NOON,
    updatedAtMs: NOON,
    revision: 1,
    updatedBy: 'ada',
  },
  spec: { labels: {}, labelsSinceMs: NOON, keyEpoch: 1, ...spec },
});
const joined = { join: { secretHash: 'x', expiresAtMs: NOON, instance: 'm', joinedAtMs: NOON } };

function news(part: {
  spec?: Partial<Site['spec']>;
  state?: SiteState;
  told?: number;
  sinceMs?: number;
  caughtUp?: boolean;
  nowMs: number;
}) {
  const told = new Map(part.told === undefined ? [] : [['tokyo', part.told] as const]);
  const states = new Map(part.state === undefined ? [] : [['tokyo', part.state] as const]);
  const hearing = { sinceMs: part.sinceMs ?? 0, caughtUp: part.caughtUp ?? true };
  return silenceNews([site(part.spec)], states, told, hearing, part.nowMs).map(
    ({ event }) => `${event.kind} ${event.atMs - NOON}`,
  );
}

describe('silence', () => {
  const state = siteState('tokyo', NOON);

  it('begins after three intervals, or after what its owner tolerates', () => {
    expect(news({ state, nowMs: NOON + 30_000 })).toEqual([]);
    expect(news({ state, nowMs: NOON + 30_001 })).toEqual(['site.silent 30000']);
    expect(news({ state, spec: { offlineToleranceMs: 60_000 }, nowMs: NOON + 60_000 })).toEqual([]);
    expect(news({ state, spec: { offlineToleranceMs: 60_000 }, nowMs: NOON + 60_001 })).toHaveLength(1);
  });

  it('is not told while the hub has not listened long enough, or has not caught up', () => {
    const nowMs = NOON + 100_000;
    expect(news({ state, sinceMs: NOON + 80_000, nowMs })).toEqual([]);
    expect(news({ state, sinceMs: NOON + 60_000, nowMs })).toEqual(['site.silent 90000']);
    expect(news({ state, caughtUp: false, nowMs })).toEqual([]);
  });

  it('is told once, and a later silence is another one', () => {
    const nowMs = NOON + 500_000;
    expect(news({ state, told: NOON, nowMs })).toEqual([]);
    const later = siteState('tokyo', NOON + 400_000);
    expect(news({ state: later, told: NOON, nowMs: NOON + 401_000 })).toEqual(['site.recovered 400000']);
    expect(news({ state: later, told: NOON, nowMs })).toEqual([
      'site.recovered 400000',
      'site.silent 430000',
    ]);
  });

  it('is not that of a site nobody has joined yet, but that of one that joined and never spoke', () => {
    expect(news({ nowMs: NOON + 1e6 })).toEqual([]);
    expect(news({ spec: joined, nowMs: NOON + 1e6 })).toEqual(['site.silent 30000']);
    expect(news({ spec: joined, told: NOON, nowMs: NOON + 1e6 })).toEqual([]);
  });

  it('names its episode in its id', () => {
    const [first] = silenceNews(
      [site()],
      new Map([['tokyo', state]]),
      new Map(),
      { sinceMs: 0, caughtUp: true },
      NOON + 40_000,
    );
    expect(episodeOf(first?.event.id ?? '')).toBe(NOON);
    expect(first?.episode).toBe(NOON);
  });
});

describe('a blind stretch', () => {
  it('is longer than three heartbeats', () => {
    expect(blindStretch(null, NOON)).toBeNull();
    expect(blindStretch(NOON, NOON + 15_000)).toBeNull();
    expect(blindStretch(NOON, NOON + 15_001)).toEqual({ fromMs: NOON, toMs: NOON + 15_001 });
    expect(blindStretch(NOON, NOON - 60_000)).toBeNull();
  });
});
