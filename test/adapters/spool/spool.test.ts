import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openSpool } from '../../../adapters/sqlite/spool.ts';
import type { HeldReport, Spool } from '../../../core/ports/spool.ts';

const WRITER = new URL('./writer.ts', import.meta.url).pathname;
let dir: string;
let path: string;
let opened: Spool[];
let children: ChildProcess[];

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'plumbline-spool-'));
  path = join(dir, 'site', 'spool.sqlite');
  opened = [];
  children = [];
});
afterEach(async () => {
  for (const spool of opened) await spool.stop();
  for (const child of children) child.kill('SIGKILL');
  rmSync(dir, { recursive: true, force: true });
});

async function open(bounds: { maxBytes?: number; maxAgeMs?: number; path?: string } = {}): Promise<Spool> {
  const spool = openSpool({ path, ...bounds });
  opened.push(spool);
  await spool.start();
  return spool;
}

function report(boot: string, seq: number, bytes = 100, madeAtMs = 0): HeldReport {
  return { position: { boot, seq }, sealed: Buffer.alloc(bytes, seq), madeAtMs };
}

function fill(spool: Spool, boot: string, from: number, to: number, bytes = 100): void {
  for (let seq = from; seq <= to; seq += 1) spool.put(report(boot, seq, bytes, seq));
}

const seqs = (spool: Spool): number[] => spool.oldest(1000).map(({ position }) => position.seq);

describe('the spool', () => {
  it('gives back what it was given, unchanged and in order, after it was opened again', async () => {
    const first = await open();
    const { boot } = first.beginBoot();
    fill(first, boot, 1, 12);
    first.forget([
      { boot, seq: 3 },
      { boot, seq: 99 },
    ]);
    await first.stop();
    const again = await open();
    expect(seqs(again)).toEqual([1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
    expect(again.oldest(1)[0]).toEqual({
      position: { boot, seq: 1 },
      sealed: new Uint8Array(100).fill(1),
      madeAtMs: 1,
    });
    expect(again.oldest(10, { boot, seq: 4 }).map(({ position }) => position.seq)).toEqual([1, 2]);
    expect(again.oldestPosition()).toEqual({ boot, seq: 1 });
    expect(again.stats()).toEqual({ reports: 11, bytes: 1100 });
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  it('keeps texts by name, small and large, replaces them, and forgets them', async () => {
    const first = await open();
    for (const name of ['small', 'policy/state', 'policy/../../x']) {
      first.keep(name, `of ${name}`);
      first.keep(name, `new of ${name}`);
      first.keep(`${name}-gone`, 'text');
      first.keep(`${name}-gone`, null);
      first.keep(`${name}-never`, null);
    }
    await first.stop();
    const again = await open();
    for (const name of ['small', 'policy/state', 'policy/../../x']) {
      expect(again.kept(name)).toBe(`new of ${name}`);
      expect(again.kept(`${name}-gone`)).toBeNull();
    }
    expect(existsSync(join(dir, 'x'))).toBe(false);
  });

  it('counts boots and names the last one that made a report', async () => {
    const spool = await open();
    const first = spool.beginBoot();
    expect(first).toMatchObject({ prev: null });
    expect(first.boot).toMatch(/^00000001-[0-9a-f]{8}$/);
    fill(spool, first.boot, 1, 5);
    spool.forget([{ boot: first.boot, seq: 5 }]);
    const silent = spool.beginBoot();
    await spool.stop();
    const third = (await open()).beginBoot();
    expect(silent.prev).toEqual({ boot: first.boot, seq: 5 });
    expect(third.prev).toEqual({ boot: first.boot, seq: 5 });
    expect(third.boot).toMatch(/^00000003-/);
  });

  it('drops the oldest over its size and says which until that is forgotten', async () => {
    const spool = await open({ maxBytes: 1000 });
    const { boot } = spool.beginBoot();
    fill(spool, boot, 1, 14);
    expect(seqs(spool)).toEqual([5, 6, 7, 8, 9, 10, 11, 12, 13, 14]);
    expect(spool.dropped()).toEqual([{ boot, from: 1, to: 4 }]);
    fill(spool, boot, 15, 16);
    spool.forgetDropped([{ boot, from: 1, to: 4 }]);
    await spool.stop();
    expect((await open({ maxBytes: 1000 })).dropped()).toEqual([{ boot, from: 5, to: 6 }]);
  });

  it('drops what is older than its age', async () => {
    const spool = await open({ maxAgeMs: 1000 });
    const { boot } = spool.beginBoot();
    for (let seq = 1; seq <= 10; seq += 1) spool.put(report(boot, seq, 10, seq * 300));
    spool.trim(3000);
    expect(seqs(spool)).toEqual([7, 8, 9, 10]);
    expect(spool.dropped()).toEqual([{ boot, from: 1, to: 6 }]);
  });

  it('does not call a report dropped that the stream has after all', async () => {
    const spool = await open({ maxBytes: 300 });
    const { boot } = spool.beginBoot();
    fill(spool, boot, 1, 6);
    spool.forget([{ boot, seq: 2 }]);
    expect(spool.dropped()).toEqual([
      { boot, from: 1, to: 1 },
      { boot, from: 3, to: 3 },
    ]);
  });

  it('refuses a spool that another process uses, and says what to do', async () => {
    const child = spawn(process.execPath, [WRITER, path], { stdio: ['ignore', 'pipe', 'inherit'] });
    children.push(child);
    await once(child.stdout, 'data');
    await expect(open()).rejects.toMatchObject({
      code: 'locked',
      message: expect.stringContaining('another collector uses the spool'),
    });
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect((await open()).stats().reports).toBeGreaterThan(0);
  });

  it('moves a damaged file aside, keeps the identity and goes on counting boots', async () => {
    const spool = await open();
    spool.keep('identity', 'secret');
    spool.beginBoot();
    const { boot } = spool.beginBoot();
    fill(spool, boot, 1, 50, 3000);
    await spool.stop();
    writeFileSync(path, Buffer.alloc(9000, 7));
    const again = await open();
    expect(again.kept('identity')).toBe('secret');
    expect(again.stats().reports).toBe(0);
    expect(again.beginBoot().boot).toMatch(/^00000003-/);
    expect(existsSync(`${path}.damaged`)).toBe(true);
  });

  it('says which reports a half damaged file has lost', async () => {
    const spool = await open();
    const { boot } = spool.beginBoot();
    fill(spool, boot, 1, 200, 3000);
    await spool.stop();
    const size = statSync(path).size;
    const file = openSync(path, 'r+');
    for (let at = Math.floor(size / 2 / 4096) * 4096; at < size; at += 4096)
      writeSync(file, Buffer.alloc(4096, 9), 0, 4096, at);
    const again = await open();
    expect(again.beginBoot().prev).toEqual({ boot, seq: 200 });
    expect(again.dropped()[0]).toMatchObject({ boot, from: 1 });
  });

  it('loses only the identity when the file of texts is damaged', async () => {
    const spool = await open();
    spool.keep('identity', 'secret');
    const { boot } = spool.beginBoot();
    fill(spool, boot, 1, 3);
    await spool.stop();
    writeFileSync(`${path}.kept.json`, '{"v":1,"texts":{"identity"');
    const again = await open();
    expect(again.kept('identity')).toBe(null);
    expect(seqs(again)).toEqual([1, 2, 3]);
    expect(again.beginBoot().boot).toMatch(/^00000002-/);
  });

  it('goes on with the newest reports on a disk that others have filled', async () => {
    const mount = mkdtempSync(join(tmpdir(), 'plumbline-small-'));
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', mount]);
    try {
      const spool = await open({ path: join(mount, 'spool.sqlite') });
      const { boot } = spool.beginBoot();
      fill(spool, boot, 1, 20, 2000);
      expect(() => writeFileSync(join(mount, 'others'), Buffer.alloc(8_000_000))).toThrow('ENOSPC');
      fill(spool, boot, 21, 2000, 2000);
      expect(spool.oldest(5000).at(-1)?.position.seq).toBe(2000);
      const { reports } = spool.stats();
      expect(reports).toBeGreaterThan(100);
      expect(spool.dropped()).toEqual([{ boot, from: 1, to: 2000 - reports }]);
      expect(() => spool.keep('text', 'x'.repeat(10_000))).toThrow(expect.objectContaining({ code: 'full' }));
    } finally {
      for (const spool of opened) await spool.stop();
      execFileSync('umount', [mount]);
      rmSync(mount, { recursive: true });
    }
  });

  it('survives SIGKILL at any moment: what it said it held is held, and boots and numbers go on', async () => {
    for (let round = 1; round <= 8; round += 1) {
      const child = spawn(process.execPath, [WRITER, path], { stdio: ['ignore', 'pipe', 'inherit'] });
      children.push(child);
      let said = '';
      child.stdout.on('data', (data: Buffer) => {
        said += data;
      });
      await expect.poll(() => said, { interval: 1 }).toMatch(/held 1\n/);
      const waitUntil = performance.now() + round * 15;
      await expect.poll(() => performance.now(), { interval: 1 }).toBeGreaterThan(waitUntil);
      child.kill('SIGKILL');
      await once(child, 'close');
      const boot = /^boot (\S+)$/m.exec(said)?.[1] ?? '';
      const numbers = (word: string) =>
        [...said.matchAll(new RegExp(`^${word} (\\d+)\n`, 'gm'))].map((m) => Number(m[1]));
      const spool = openSpool({ path, maxBytes: 1e9, maxAgeMs: 1e12 });
      await spool.start();
      const held = new Map(
        spool
          .oldest(100_000)
          .flatMap((each) => (each.position.boot === boot ? [[each.position.seq, each] as const] : [])),
      );
      const forgot = new Set(numbers('forgot'));
      const last = numbers('held').at(-1) ?? 0;
      for (const seq of numbers('held').filter((each) => !forgot.has(each) && each !== last - 2)) {
        expect(held.get(seq)?.sealed, `round ${round}, report ${seq}`).toEqual(
          new Uint8Array(1000 + (seq % 7) * 500).fill(seq % 256),
        );
      }
      for (const seq of forgot) expect(held.has(seq)).toBe(false);
      const { prev, boot: next } = spool.beginBoot();
      expect(prev?.boot).toBe(boot);
      expect([last, last + 1]).toContain(prev?.seq);
      expect(Number(next.slice(0, 8))).toBe(Number(boot.slice(0, 8)) + 1);
      await spool.stop();
      expect(JSON.parse(readFileSync(`${path}.kept.json`, 'utf8'))).toBeTruthy();
    }
  });
});
