import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openSqlite } from '../../adapters/sqlite/open.ts';
import { type Log, LogError } from '../../core/ports/log.ts';
import { NODE, ROOT, type Running, run, until } from '../parts/process.ts';
import { nextBatch, readAll, record, records, staysSilent, subscribe, textOf } from './log-world.ts';
import { silentLogger } from './silent-logger.ts';
import { shown } from './table-world.ts';

let dir: string;
let writer: Running | null = null;
const opened: ReturnType<typeof openSqlite>[] = [];

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'plumbline-sqlite-'));
});
afterEach(async () => {
  await writer?.kill('SIGKILL');
  writer = null;
  for (const { log, table } of opened.splice(0)) await Promise.all([log.stop(), table.stop()]);
  await rm(dir, { recursive: true });
});

type Options = Partial<Parameters<typeof openSqlite>[0]>;

function open(options: Options = {}): ReturnType<typeof openSqlite> {
  const usual = { dir, partitions: 4, retentionMs: 3_600_000, retentionBytes: 1e9, logger: silentLogger };
  const both = openSqlite({ ...usual, ...options });
  opened.push(both);
  return both;
}

async function openLog(options: Options = {}): Promise<Log> {
  const { log } = open(options);
  await log.start();
  return log;
}

/** How many records the other process was told are safe. */
const acknowledged = (process: Running): number => Number(process.output().trim().split('\n').at(-1));

describe('SQLite: its file', () => {
  test('a second process is told which directory is in use, and the first is not disturbed', async () => {
    const other = run([NODE, `${ROOT}test/contract/sqlite-writer.ts`, dir]);
    writer = other;
    await until('the other process appends', () => acknowledged(other) > 0, 30_000, other.output);
    const { log, table } = open();
    for (const start of [() => log.start(), () => table.start()]) {
      await expect(start()).rejects.toMatchObject({
        code: 'locked',
        message: expect.stringContaining(dir),
      });
    }
    const before = acknowledged(other);
    await until('the other process goes on', () => acknowledged(other) > before);
  });

  test('killed at any moment, it opens again with everything that was acknowledged, in order', async () => {
    let count = 0;
    for (let round = 0; round < 3; round++) {
      const other = run([NODE, `${ROOT}test/contract/sqlite-writer.ts`, dir]);
      writer = other;
      await until(
        'some hundreds are stored',
        () => acknowledged(other) > 200 + round * 130,
        30_000,
        other.output,
      );
      await other.kill('SIGKILL');
      const safe = acknowledged(other);
      const { log, table } = open();
      await log.start();
      await table.start();
      const subscription = await subscribe(log);
      const read = await readAll(subscription, safe, (some) => some.length >= safe);
      for (let rest = await subscription.next(); rest !== null; rest = await subscription.next()) {
        read.push(...rest.records);
        await subscription.commit(rest);
      }
      for (const [key, some] of Map.groupBy(read, (one) => one.key)) {
        const first = Number(key.slice('site-'.length));
        expect(some.map(textOf)).toEqual(some.map((_, i) => String(first + i * 10)));
      }
      expect(Number(shown(await table.view('state')).n)).toBeGreaterThanOrEqual(safe - 10);
      count += read.length;
      await Promise.all([log.stop(), table.stop()]);
    }
    expect(count).toBeGreaterThan(900);
  });

  test('positions and claims outlive the process; a later owner still fences', async () => {
    const first = open();
    await first.log.start();
    await first.table.start();
    await first.log.append('reports', records(50));
    await readAll(await subscribe(first.log), 50);
    await first.table.claim('control');
    await Promise.all([first.log.stop(), first.table.stop()]);
    const second = open();
    await second.log.start();
    await second.table.start();
    expect(await staysSilent(await subscribe(second.log))).toBe(true);
    const old = await second.table.claim('control');
    await second.table.claim('control');
    await expect(old.write('resources', [{ key: 'a', value: null }])).rejects.toMatchObject({
      code: 'fenced',
    });
  });

  test('the number of partitions stays what it was when the file was made', async () => {
    const log = await openLog({ partitions: 2 });
    await log.append('reports', records(40));
    await log.stop();
    const again = await openLog({ partitions: 7 });
    await again.append('reports', records(40, 'again'));
    const read = await readAll(await subscribe(again), 80);
    expect(new Set(read.map(({ partition }) => partition))).toEqual(new Set([0, 1]));
    for (const some of Map.groupBy(read, ({ key }) => key).values()) {
      expect(new Set(some.map(({ partition }) => partition)).size).toBe(1);
    }
  });

  test('a commit that the disk refuses says so in the words of the log, and its batch comes again', async () => {
    await (await openLog()).stop();
    // As a full disk would: no position can be stored until there is a command.
    const file = new DatabaseSync(join(dir, 'log.sqlite'));
    file.exec(`CREATE TRIGGER full BEFORE INSERT ON position
      WHEN NEW.offset > 0 AND NOT EXISTS (SELECT 1 FROM log_commands)
      BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END`);
    file.close();
    const log = await openLog();
    await log.append('reports', records(20));
    const subscription = await subscribe(log);
    const batch = await nextBatch(subscription);
    const refused = await subscription.commit(batch).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(LogError);
    expect(refused).toMatchObject({ code: 'unavailable', message: expect.stringContaining('full') });
    expect(await subscription.lag()).toBe(20);
    await log.append('commands', [record('a', 'there is room again')]);
    const again = await readAll(subscription, 20);
    expect(again.map(textOf).sort()).toEqual(records(20).map(textOf).sort());
    expect(await subscription.caughtUp()).toBe(true);
  });
});

describe('SQLite: what it keeps', () => {
  test('the append time does not go back with the clock', async () => {
    let nowMs = 1_000_000;
    const log = await openLog({ clock: { nowMs: () => nowMs, monoMs: () => 0 } });
    await log.append('reports', [record('a', '0')]);
    nowMs -= 500_000;
    await log.append('reports', [record('a', '1')]);
    nowMs += 500_001;
    await log.append('reports', [record('a', '2')]);
    const read = await readAll(await subscribe(log), 3);
    expect(read.map(({ appendedAtMs }) => appendedAtMs)).toEqual([1_000_000, 1_000_000, 1_000_001]);
  });

  test('reports go by age, younger ones stay, commands stay for seven days', async () => {
    let nowMs = 0;
    const log = await openLog({ clock: { nowMs: () => nowMs, monoMs: () => 0 } });
    for (const topic of ['reports', 'commands'] as const) await log.append(topic, [record('a', 'old')]);
    nowMs += 3_000_000;
    await log.append('reports', [record('a', 'young')]);
    nowMs += 700_000;
    await log.retain();
    const topics = ['reports', 'commands'] as const;
    const texts = async (group: string) => {
      const subscription = await subscribe(log, { group, topics });
      const batch = await nextBatch(subscription);
      await subscription.commit(batch);
      return batch.records.map((one) => `${one.topic} ${textOf(one)}`);
    };
    expect((await texts('one')).sort()).toEqual(['commands old', 'reports young']);
    nowMs += 7 * 24 * 3_600_000;
    await log.append('reports', [record('a', 'new')]);
    await log.retain();
    expect(await texts('two')).toEqual(['reports new']);
  });

  test('reports and backfill together stay under their bytes: the oldest go, whichever it is', async () => {
    let nowMs = 0;
    const log = await openLog({
      retentionBytes: 100_000,
      clock: { nowMs: () => nowMs, monoMs: () => 0 },
    });
    const kilobyte = (text: string) => ({ key: text, value: Buffer.from(text.padEnd(1000)) });
    for (let i = 0; i < 300; i++) {
      nowMs += 1;
      await log.append(i % 2 === 0 ? 'reports' : 'backfill', [kilobyte(`${i}`)]);
    }
    await log.retain();
    const read = await readAll(await subscribe(log, { topics: ['reports', 'backfill'] }), 100);
    const left = read.map((one) => Number(textOf(one))).sort((a, b) => a - b);
    expect(left).toEqual(Array.from({ length: 100 }, (_, i) => 200 + i));
    await log.append('reports', [kilobyte('one more')]);
    await log.retain();
    const after = await readAll(
      await subscribe(log, { group: 'after', topics: ['reports', 'backfill'] }),
      100,
    );
    expect(after.map((one) => textOf(one).trim())).not.toContain('200');
  });

  test('what a group has yet to read stays, and appends are refused at the bound until it is read', async () => {
    const log = await openLog({ partitions: 1, retentionBytes: 100_000, retentionMs: 0 });
    const subscription = await subscribe(log, { maxRecords: 50 });
    const kilobyte = (i: number) => ({ key: 'a', value: Buffer.from(`${i}`.padEnd(1000)) });
    let stored = 0;
    const refused = await until('an append is refused', async () => {
      const refusal = await log.append('reports', [kilobyte(stored)]).catch((error: unknown) => error);
      if (refusal === undefined) stored += 1;
      return refusal;
    });
    expect(refused).toBeInstanceOf(LogError);
    expect(refused).toMatchObject({ code: 'unavailable', message: expect.stringContaining('100000') });
    await log.append('commands', [record('a', 'gets through')]);
    await log.retain();
    const read = await readAll(subscription, 50);
    await log.append('reports', [kilobyte(stored)]);
    read.push(...(await readAll(subscription, stored + 1 - read.length)));
    expect(read.map((one) => Number(textOf(one)))).toEqual(Array.from({ length: stored + 1 }, (_, i) => i));
  });
});
