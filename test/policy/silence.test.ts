import { describe, expect, it } from 'vitest';
import type { Site } from '../../core/model/resource.ts';
import type { SiteState } from '../../core/model/site-state.ts';
import { blindStretch } from '../../policy/hub-status.ts';
import { type Silence, silenceNews } from '../../policy/silence.ts';
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

const silence = (part: Partial<Silence> = {}): Silence => ({
  ...{ episode: NOON, toldAtMs: NOON + 30_000, isOver: false },
  ...part,
});

function news(part: {
  spec?: Partial<Site['spec']>;
  state?: SiteState;
  told?: Silence;
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
    expect(news({ state, told: silence(), nowMs })).toEqual([]);
    const later = siteState('tokyo', NOON + 400_000);
    expect(news({ state: later, told: silence(), nowMs: NOON + 401_000 })).toEqual(['site.recovered 400000']);
    expect(news({ state: later, told: silence(), nowMs })).toEqual([
      'site.recovered 400000',
      'site.silent 430000',
    ]);
  });

  it('is not that of a site nobody has joined yet, but that of one that joined and never spoke', () => {
    expect(news({ nowMs: NOON + 1e6 })).toEqual([]);
    expect(news({ spec: joined, nowMs: NOON + 1e6 })).toEqual(['site.silent 30000']);
    expect(news({ spec: joined, told: silence(), nowMs: NOON + 1e6 })).toEqual([]);
  });

  it('does not begin again once it is over, until the site was heard', () => {
    expect(news({ state, told: silence({ isOver: true }), nowMs: NOON + 1e6 })).toEqual([]);
    const later = siteState('tokyo', NOON + 400_000);
    expect(news({ state: later, told: silence({ isOver: true }), nowMs: NOON + 500_000 })).toEqual([
      'site.silent 430000',
    ]);
  });

  it('does not end before it began, though a report waited while it was told', () => {
    const told = silence({ toldAtMs: NOON + 90_000 });
    const waited = siteState('tokyo', NOON + 60_000);
    expect(news({ state: waited, told, nowMs: NOON + 89_000 })).toEqual(['site.recovered 90000']);
  });

  it('of another site that had the name before is not that of this one', () => {
    const before = siteState('tokyo', NOON - 60_000);
    const told = silence({ episode: NOON - 60_000 });
    const nowMs = NOON + 1e6;
    expect(news({ state: before, told, nowMs })).toEqual([]);
    expect(news({ state: before, told, spec: joined, nowMs })).toEqual(['site.silent 30000']);
    expect(news({ state: siteState('tokyo', nowMs), told, nowMs })).toEqual([]);
  });

  it('names its episode in its id', () => {
    const [first] = silenceNews(
      [site()],
      new Map([['tokyo', state]]),
      new Map(),
      { sinceMs: 0, caughtUp: true },
      NOON + 40_000,
    );
    expect(first?.event.id).toBe(`site.silent/tokyo/${NOON}`);
    expect(first?.newest).toEqual(silence());
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
