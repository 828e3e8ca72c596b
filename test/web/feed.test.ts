import { beforeEach, describe, expect, test } from 'vitest';
import type { LiveMessage, SiteView } from '../../core/model/view.ts';
import { Feed, type FeedWorld, SILENCE_MS, SNAPSHOT_MS } from '../../web/src/live/feed.ts';
import { madeUpSites, rollupOf } from './stand-in-fleet.ts';

const SITES = madeUpSites(3, 1, 0);

/** A world whose clock is turned by the test. */
class TestWorld implements FeedWorld {
  now = 1_000_000;
  sent: string[] = [];
  connections: { open(): void; text(text: string): void; close(code: number): void }[] = [];
  answer: 'signed-in' | 'signed-out' | 'unreachable' = 'signed-in';
  #timers: { atMs: number; run: () => void }[] = [];

  open(on: { open(): void; text(text: string): void; close(code: number): void }) {
    this.connections.push(on);
    return { send: (text: string) => void this.sent.push(text), close: () => {} };
  }
  session() {
    return Promise.resolve(this.answer);
  }
  nowMs() {
    return this.now;
  }
  after(delayMs: number, run: () => void) {
    const timer = { atMs: this.now + delayMs, run };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((one) => one !== timer);
    };
  }
  random() {
    return 1;
  }
  pass(ms: number) {
    const until = this.now + ms;
    for (;;) {
      const next = this.#timers.toSorted((a, b) => a.atMs - b.atMs)[0];
      if (next === undefined || next.atMs > until) break;
      this.#timers = this.#timers.filter((one) => one !== next);
      this.now = next.atMs;
      next.run();
    }
    this.now = until;
  }
  get newest() {
    const connection = this.connections.at(-1);
    if (connection === undefined) throw new Error('nothing was opened');
    return connection;
  }
  hears(message: LiveMessage) {
    this.newest.text(JSON.stringify(message));
  }
}

let world: TestWorld;
let feed: Feed;
const hub = () => ({ version: '0.1.0', nowMs: world.now + 5_000, caughtUp: true, blind: null, troubles: [] });
const common = () => ({ hub: hub(), rollup: rollupOf(SITES), virtualSites: [], rollouts: [] });
const snapshot = (version: number): LiveMessage => ({ type: 'snapshot', version, sites: SITES, ...common() });
const delta = (from: number, upsert: SiteView[], remove: string[] = []): LiveMessage => ({
  type: 'delta',
  from,
  version: from + 1,
  upsert,
  remove,
  ...common(),
});
const pulse = (version: number): LiveMessage => ({ type: 'pulse', version, hub: hub() });

beforeEach(() => {
  world = new TestWorld();
  feed = new Feed(world);
  feed.start();
  world.newest.open();
});

describe('the live feed', () => {
  test('is live from the snapshot on, follows deltas, and knows the hub’s clock', () => {
    expect(feed.state.phase).toBe('connecting');
    world.hears(snapshot(7));
    expect(feed.state.phase).toBe('live');
    expect(feed.state.hubOffsetMs).toBe(5_000);
    const [first, second] = SITES;
    if (first === undefined || second === undefined) throw new Error('no sites');
    world.hears(delta(7, [{ ...first, score: 11 }], [second.id]));
    expect(feed.state.fleet?.version).toBe(8);
    expect(feed.state.fleet?.sites.get(first.id)?.score).toBe(11);
    expect(feed.state.fleet?.sites.has(second.id)).toBe(false);
  });

  test('a delta that does not follow is not applied: it subscribes again and takes nothing until the snapshot', () => {
    world.hears(snapshot(7));
    world.sent = [];
    world.hears(delta(9, [], [SITES[0]?.id ?? '']));
    expect(world.sent).toEqual(['{"type":"subscribe"}']);
    expect(feed.state.fleet?.version).toBe(7);
    world.hears(delta(7, [], [SITES[1]?.id ?? '']));
    expect(feed.state.fleet?.sites.size).toBe(3);
    world.hears(snapshot(12));
    expect(feed.state.fleet?.version).toBe(12);
  });

  test('a pulse of another version means that the last delta was missed', () => {
    world.hears(snapshot(7));
    world.sent = [];
    world.hears(pulse(7));
    expect(world.sent).toEqual([]);
    world.hears(pulse(8));
    expect(world.sent).toHaveLength(1);
  });

  test('a connection that is open but silent is taken for gone, and what was known stays', () => {
    world.hears(snapshot(7));
    world.pass(SILENCE_MS - 1);
    expect(feed.state.phase).toBe('live');
    world.pass(1);
    expect(feed.state.phase).toBe('away');
    expect(feed.state.fleet?.sites.size).toBe(3);
    expect(feed.state.heardAtMs).toBe(1_000_000);
  });

  test('what can’t be applied does not keep the picture looking live', () => {
    world.hears(snapshot(7));
    for (let s = 0; s < SILENCE_MS / 1000; s++) {
      world.hears(pulse(9));
      world.pass(1000);
    }
    expect(feed.state.phase).toBe('away');
  });

  test('a snapshot may take its time, but not for ever', () => {
    world.pass(SNAPSHOT_MS - 1);
    expect(feed.state.phase).toBe('connecting');
    world.pass(1);
    expect(feed.state.phase).toBe('away');
  });

  test('it tries again ever more rarely, at most every 30 s, and from the start after a success', () => {
    world.hears(snapshot(1));
    const waits: number[] = [];
    for (let round = 0; round < 8; round++) {
      world.newest.close(1006);
      const waitMs = (feed.state.retryAtMs ?? 0) - world.now;
      waits.push(waitMs);
      world.pass(waitMs);
    }
    expect(waits).toEqual([1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000]);
    world.newest.open();
    world.hears(snapshot(2));
    world.newest.close(1006);
    expect((feed.state.retryAtMs ?? 0) - world.now).toBe(1000);
  });

  test('what an earlier connection still says is ignored', () => {
    world.hears(snapshot(1));
    const old = world.newest;
    old.close(1006);
    world.pass(1000);
    old.text(JSON.stringify(snapshot(99)));
    old.close(1006);
    expect(feed.state.fleet?.version).toBe(1);
    expect(world.connections).toHaveLength(2);
  });

  test('with nobody signed in no connection is opened, and with a hub that can not be asked one is', async () => {
    for (const [answer, phase, opened] of [
      ['signed-out', 'signed-out', 0],
      ['unreachable', 'connecting', 1],
      ['signed-in', 'connecting', 1],
    ] as const) {
      world = new TestWorld();
      world.answer = answer;
      feed = new Feed(world);
      await feed.startIfSignedIn();
      expect([feed.state.phase, world.connections.length]).toEqual([phase, opened]);
    }
  });

  test('a session that is over ends the trying and forgets what was shown', async () => {
    world.hears(snapshot(1));
    world.answer = 'signed-out';
    world.newest.close(1006);
    await Promise.resolve();
    expect(feed.state).toMatchObject({ phase: 'signed-out', fleet: null });
    world.pass(600_000);
    expect(world.connections).toHaveLength(1);
  });

  test('a connection that the hub closes since the session is over leads to signing in, though nobody can be asked', async () => {
    world.hears(snapshot(1));
    world.answer = 'unreachable';
    world.newest.close(4401);
    expect(feed.state).toMatchObject({ phase: 'signed-out', fleet: null, retryAtMs: null });
    await Promise.resolve();
    world.pass(600_000);
    expect(world.connections).toHaveLength(1);
    feed.start();
    world.newest.open();
    world.hears(snapshot(2));
    expect(feed.state.phase).toBe('live');
  });

  test('asks for less when told to, also on the next connection', () => {
    world.hears(snapshot(1));
    feed.narrow({ virtualSite: 'prod' });
    feed.narrow({ virtualSite: 'prod' });
    world.newest.close(1006);
    world.pass(1000);
    world.newest.open();
    expect(world.sent.slice(1)).toEqual([
      '{"type":"subscribe","filter":{"virtualSite":"prod"}}',
      '{"type":"subscribe","filter":{"virtualSite":"prod"}}',
    ]);
  });

  test('what the hub refuses is told until a snapshot comes', () => {
    world.hears({ type: 'error', code: 'invalid-selector', detail: 'no' });
    expect(feed.state.refusal).toBe('no');
    world.hears(snapshot(1));
    expect(feed.state.refusal).toBeNull();
  });
});
