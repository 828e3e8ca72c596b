import { expect, test } from 'vitest';
import type { LogRecord, Subscription } from '../../core/ports/log.ts';
import { until } from '../parts/process.ts';
import {
  nextBatch,
  type OpenLog,
  placeOf,
  readAll,
  records,
  subscribe,
  textOf,
  within,
} from './log-world.ts';

const BOTH = { topics: ['reports', 'backfill'] } as const;

/** How groups divide partitions, and what happens to a batch whose partitions move. */
export function groupCases(open: OpenLog): void {
  test('every group reads everything, from the oldest record on', () =>
    within(open, async ({ log }) => {
      await log.append('reports', records(100));
      for (const group of ['one', 'two']) {
        const read = await readAll(await subscribe(log, { group }), 100);
        expect(read.map(textOf).sort()).toEqual(records(100).map(textOf).sort());
      }
    }));

  test('subscriptions of a group divide the partitions, reports and backfill alike', () =>
    within(open, async ({ log, partitions }) => {
      const first = await subscribe(log, BOTH);
      const second = await subscribe(log, BOTH);
      const [ofFirst, ofSecond] = await divided(first, second, async () => {
        await log.append('reports', records(80));
        await log.append('backfill', records(80));
      });
      expect([...ofFirst, ...ofSecond].sort()).toEqual(
        BOTH.topics.flatMap((topic) => Array.from({ length: partitions }, (_, p) => `${topic}/${p}`)).sort(),
      );
      for (const places of [ofFirst, ofSecond]) {
        expect(places.size).toBe(partitions);
        for (const place of places) expect(places).toContain(place.replace(/^\w+/, 'reports'));
        for (const place of places) expect(places).toContain(place.replace(/^\w+/, 'backfill'));
      }
    }));

  test('when one closes, the other gets its partitions and what it had not committed', () =>
    within(open, async ({ log }) => {
      const staying = await subscribe(log);
      const leaving = await subscribe(log);
      await divided(staying, leaving, () => log.append('reports', records(80)));
      await log.append('reports', records(80, 'late'));
      const held = await nextBatch(leaving);
      await leaving.close();
      const all = new Set(records(80, 'late').map(textOf));
      const read = await readAll(staying, 80, (some) => new Set(lateOf(some)).size === all.size);
      expect(lateOf(read)).toEqual(expect.arrayContaining(held.records.map(textOf)));
    }));

  test('a batch whose partitions have moved is fenced, nothing of it is skipped, and positions do not go back', () =>
    within(open, async ({ log }) => {
      await log.append('reports', records(80));
      const old = await subscribe(log);
      const stale = await nextBatch(old);
      const joined = await subscribe(log);
      // The new one has read and committed what moved to it; a stale commit must not undo that.
      const moved = await readAll(joined, 1);
      expect(await old.commit(stale)).toEqual({ ok: false, code: 'fenced' });
      const missing = (read: readonly LogRecord[]) => 80 - new Set(read.map(textOf)).size;
      await collect([joined, old], moved, (read) => missing(read) === 0);
      await old.close();
      await joined.close();
      const after = await subscribe(log);
      await until('the next one finds everything committed', () => after.caughtUp());
      expect(await after.lag()).toBe(0);
    }));

  test('more subscriptions than partitions: the surplus has nothing to do, and takes over', () =>
    within(open, async ({ log, partitions }) => {
      const all: Subscription[] = [];
      for (let i = 0; i <= partitions; i++) all.push(await subscribe(log));
      await log.append('reports', records(80));
      const read: LogRecord[] = [];
      await collect(all, read, (some) => new Set(some.map(textOf)).size === 80);
      for (const one of all.slice(1)) await one.close();
      await log.append('reports', records(80, 'late'));
      const [last] = all;
      if (last === undefined) throw new Error('no subscription');
      await readAll(last, 80, (some) => new Set(lateOf(some)).size === 80);
    }));
}

const lateOf = (read: readonly LogRecord[]): string[] =>
  read.map(textOf).filter((text) => text.startsWith('late'));

/** Reads by turns into `read` until it is enough. */
async function collect(
  subscriptions: readonly Subscription[],
  read: LogRecord[],
  isEnough: (read: readonly LogRecord[]) => boolean,
): Promise<void> {
  await until('everything is read', async () => {
    for (const subscription of subscriptions) {
      const batch = await subscription.next();
      if (batch !== null && (await subscription.commit(batch)).ok) read.push(...batch.records);
    }
    return isEnough(read);
  });
}

/** Appends again and again until both read and no place is read by both: joining takes its time. */
async function divided(
  first: Subscription,
  second: Subscription,
  append: () => Promise<void>,
): Promise<[Set<string>, Set<string>]> {
  return until('the partitions are divided', async () => {
    await append();
    const places: Set<string>[] = [];
    for (const subscription of [first, second]) {
      const read: LogRecord[] = [];
      for (let batch = await subscription.next(); batch !== null; batch = await subscription.next()) {
        if ((await subscription.commit(batch)).ok) read.push(...batch.records);
      }
      places.push(new Set(read.map(placeOf)));
    }
    const [ofFirst = new Set<string>(), ofSecond = new Set<string>()] = places;
    const isDivided =
      ofFirst.size > 0 && ofSecond.size > 0 && [...ofFirst].every((place) => !ofSecond.has(place));
    const isLevel = ofFirst.size === ofSecond.size;
    return isDivided && isLevel ? [ofFirst, ofSecond] : null;
  });
}
