import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, test } from 'vitest';
import { LogError, MAX_RECORD_BYTES } from '../../core/ports/log.ts';
import { until } from '../parts/process.ts';
import { groupCases } from './log-groups.contract.ts';
import {
  nextBatch,
  type OpenLog,
  readAll,
  record,
  records,
  staysSilent,
  subscribe,
  textOf,
  within,
} from './log-world.ts';

/** What every adapter of `Log` must do, run on a real part. */
export function logContract(name: string, open: OpenLog): void {
  describe(`${name}: the contract of Log`, () => {
    orderCases(open);
    waitingCases(open);
    groupCases(open);
    positionCases(open);
    boundCases(open);
    lifeCases(open);
  });
}

function orderCases(open: OpenLog): void {
  test('records of a key are in one partition, in the order they were appended, also by concurrent calls', () =>
    within(open, async ({ log, partitions }) => {
      const calls = Array.from({ length: 20 }, (_, call) => records(100, `${call}:`));
      await Promise.all(calls.map((call) => log.append('reports', call)));
      const read = await readAll(await subscribe(log), 2000);
      const byKey = Map.groupBy(read, ({ key }) => key);
      expect(byKey.size).toBe(40);
      for (const [key, some] of byKey) {
        expect(new Set(some.map(({ partition }) => partition)).size).toBe(1);
        const expected = calls.flat().filter((sent) => sent.key === key);
        expect(some.map(textOf)).toEqual(expected.map(textOf));
      }
      for (const some of Map.groupBy(read, ({ partition }) => partition).values()) {
        expect(some.map(({ offset }) => offset)).toEqual(some.map((_, i) => i));
      }
      expect(new Set(read.map(({ partition }) => partition)).size).toBe(partitions);
    }));

  test('a key has the same partition on every topic', () =>
    within(open, async ({ log }) => {
      await log.append('reports', records(40));
      await log.append('backfill', records(40));
      const read = await readAll(await subscribe(log, { topics: ['reports', 'backfill'] }), 80);
      for (const some of Map.groupBy(read, ({ key }) => key).values()) {
        expect(new Set(some.map(({ topic }) => topic)).size).toBe(2);
        expect(new Set(some.map(({ partition }) => partition)).size).toBe(1);
      }
    }));

  test('values come back byte by byte, empty ones too', () =>
    within(open, async ({ log }) => {
      const every = Uint8Array.from({ length: 256 }, (_, i) => i);
      await log.append('commands', [
        { key: 'a', value: every },
        { key: 'a', value: new Uint8Array(0) },
        // A window on a larger buffer, as values cut from a frame are.
        { key: 'a', value: every.subarray(10, 20) },
      ]);
      const read = await readAll(await subscribe(log, { topics: ['commands'] }), 3);
      expect(read.map(({ value }) => [...value])).toEqual([[...every], [], [...every.subarray(10, 20)]]);
      expect(read.map(({ topic, key }) => [topic, key])).toEqual(Array(3).fill(['commands', 'a']));
    }));

  test('the log stamps the time of appending, and never back', () =>
    within(open, async ({ log }) => {
      for (let i = 0; i < 5; i++) await log.append('reports', [record('a', `${i}`)]);
      const stamps = (await readAll(await subscribe(log), 5)).map(({ appendedAtMs }) => appendedAtMs);
      expect(stamps).toEqual([...stamps].sort((a, b) => a - b));
      for (const stamp of stamps) expect(Math.abs(stamp - Date.now())).toBeLessThan(60_000);
    }));
}

function waitingCases(open: OpenLog): void {
  test('next gives null when nothing comes, not before its time, and wakes when something does', () =>
    within(open, async ({ log }) => {
      const subscription = await subscribe(log, { maxWaitMs: 300 });
      const startedMs = performance.now();
      expect(await subscription.next()).toBeNull();
      expect(performance.now() - startedMs).toBeGreaterThan(295);
      await until('the subscription has its partitions', () => subscription.caughtUp());
      const patient = await subscribe(log, { group: 'patient', maxWaitMs: 20_000 });
      const coming = patient.next();
      await log.append('reports', [record('a', 'now')]);
      expect((await coming)?.records.map(textOf)).toEqual(['now']);
    }));

  test('next gives up at once when its signal aborts', () =>
    within(open, async ({ log }) => {
      const subscription = await subscribe(log, { maxWaitMs: 20_000 });
      const giveUp = new AbortController();
      const coming = subscription.next(giveUp.signal);
      giveUp.abort();
      expect(await coming).toBeNull();
    }));

  test('a batch has at most as many records as were asked for, and every partition gets its turn', () =>
    within(open, async ({ log, partitions }) => {
      await log.append('reports', records(400));
      const subscription = await subscribe(log, { maxRecords: partitions * 2 });
      const seen = new Set<number>();
      for (let left = 400; left > 0; ) {
        const batch = await nextBatch(subscription);
        expect(batch.records.length).toBeLessThanOrEqual(partitions * 2);
        for (const { partition } of batch.records) seen.add(partition);
        left -= batch.records.length;
        await subscription.commit(batch);
      }
      expect(seen.size).toBe(partitions);
    }));

  test('asking for more before the last batch is committed is a bug and throws', () =>
    within(open, async ({ log }) => {
      await log.append('reports', records(1));
      const subscription = await subscribe(log);
      const batch = await nextBatch(subscription);
      await expect(subscription.next()).rejects.toThrow('before the last batch was committed');
      expect(await subscription.commit(batch)).toEqual({ ok: true });
      await expect(subscription.commit(batch)).rejects.toThrow('not the last one');
    }));
}

function positionCases(open: OpenLog): void {
  test('what was not committed comes again to the next one, what was committed does not', () =>
    within(open, async ({ log }) => {
      await log.append('reports', [record('a', '0'), record('a', '1'), record('a', '2')]);
      const first = await subscribe(log, { maxRecords: 1 });
      expect((await readAll(first, 1)).map(textOf)).toEqual(['0']);
      expect((await nextBatch(first)).records.map(textOf)).toEqual(['1']);
      await first.close();
      const second = await subscribe(log);
      expect((await readAll(second, 2)).map(textOf)).toEqual(['1', '2']);
      await second.close();
      expect(await staysSilent(await subscribe(log))).toBe(true);
    }));

  test('it is caught up when everything was handed out and committed; lag counts what was not', () =>
    within(open, async ({ log }) => {
      const subscription = await subscribe(log);
      await until('nothing to read, all caught up', () => subscription.caughtUp());
      await log.append('reports', records(10));
      expect(await subscription.caughtUp()).toBe(false);
      expect(await subscription.lag()).toBe(10);
      let left = 10;
      while (left > 0) {
        const batch = await nextBatch(subscription);
        expect(await subscription.caughtUp()).toBe(false);
        await subscription.commit(batch);
        left -= batch.records.length;
        expect(await subscription.lag()).toBe(left);
      }
      expect(await subscription.caughtUp()).toBe(true);
    }));

  test('a position that retention has overtaken goes on at the oldest record left, and says how many were skipped', () =>
    within(open, async ({ log, expire, keepsUnread }) => {
      await log.append('reports', [record('a', '0')]);
      const first = await subscribe(log);
      await readAll(first, 1);
      await first.close();
      await log.append('reports', [record('a', '1'), record('a', '2'), record('a', '3')]);
      await expire();
      await log.append('reports', [record('a', '4')]);
      const second = await subscribe(log);
      const batch = await nextBatch(second);
      expect(batch.records.map(textOf)).toEqual(keepsUnread ? ['1', '2', '3', '4'] : ['4']);
      expect(batch.skipped).toBe(keepsUnread ? 0 : 3);
      await second.commit(batch);
      if (keepsUnread) {
        // Once it is read it goes, and a group that did not exist then begins at what is left.
        await expire();
        await log.append('reports', [record('a', '5')]);
        await readAll(second, 1);
      }
      // It waits now; what goes while it waits is counted as well.
      await log.append('commands', [record('a', 'other topic')]);
      expect(await staysSilent(second)).toBe(true);
      const fresh = await subscribe(log, { group: 'fresh' });
      const left = await nextBatch(fresh);
      expect(left.records.map(textOf)).toEqual([keepsUnread ? '5' : '4']);
      expect(left.skipped).toBe(0);
    }));
}

function boundCases(open: OpenLog): void {
  test('a record over the limit is refused before anything of its call is stored', () =>
    within(open, async ({ log }) => {
      const over = { key: 'b', value: new Uint8Array(MAX_RECORD_BYTES + 1) };
      const refused = await log.append('reports', [record('a', 'x'), over]).catch((error: unknown) => error);
      expect(refused).toBeInstanceOf(LogError);
      expect(refused).toMatchObject({ code: 'too-large' });
      await log.append('reports', [{ key: 'b', value: new Uint8Array(MAX_RECORD_BYTES) }]);
      const read = await readAll(await subscribe(log), 1);
      expect(read.map(({ key, value }) => [key, value.byteLength])).toEqual([['b', MAX_RECORD_BYTES]]);
    }));

  test('a reader that does not read takes a bounded amount of memory, and misses nothing afterwards', () =>
    within(open, async ({ log }) => {
      const chunk = Array.from({ length: 500 }, (_, i) => ({
        key: `site-${i}`,
        value: new Uint8Array(4096),
      }));
      const subscription = await subscribe(log, { maxRecords: 10 });
      await log.append('reports', chunk);
      const held = await nextBatch(subscription);
      const beforeBytes = process.memoryUsage().arrayBuffers;
      for (let i = 0; i < 29; i++) await log.append('reports', chunk);
      // Another group reads all 60 MB: whoever did not bound itself has had its chance by then.
      const eager = await subscribe(log, { group: 'eager' });
      await readAll(eager, 30 * 500);
      await eager.close();
      await until(
        'little is held',
        () => {
          collectGarbage();
          return process.memoryUsage().arrayBuffers - beforeBytes < 30 * 1024 * 1024;
        },
        5_000,
      );
      await subscription.commit(held);
      await subscription.close();
      const rest = await subscribe(log, { maxRecords: 2000 });
      expect((await readAll(rest, 30 * 500 - held.records.length)).length).toBe(15_000 - held.records.length);
    }));
}

function lifeCases(open: OpenLog): void {
  test('starting, closing and stopping twice is like once; afterwards everything is closed', () =>
    within(open, async ({ log }) => {
      await log.start();
      const subscription = await subscribe(log, { maxWaitMs: 20_000 });
      const waiting = subscription.next();
      await subscription.close();
      await subscription.close();
      expect(await waiting).toBeNull();
      await expect(subscription.next()).rejects.toMatchObject({ code: 'closed' });
      const left = (await subscribe(log, { maxWaitMs: 20_000 })).next();
      await log.append('commands', []);
      await log.stop();
      await log.stop();
      expect(await left).toBeNull();
      await expect(log.append('reports', records(1))).rejects.toMatchObject({ code: 'closed' });
      await expect(subscribe(log)).rejects.toMatchObject({ code: 'closed' });
    }));

  test('stopping flushes: what was called for before is stored', () =>
    within(open, async ({ log }) => {
      const appends = Promise.all([log.append('reports', records(100)), log.append('reports', records(100))]);
      await Promise.all([log.stop(), appends]);
    }));
}

/** So that what is measured is what is held. */
function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  const collect: unknown = runInNewContext('gc');
  if (typeof collect === 'function') collect();
}
