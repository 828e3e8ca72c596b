import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createNameResolver } from '../../../adapters/dns/names.ts';
import type { Learned } from '../../../core/ports/name-resolver.ts';
import { NameServer } from './name-server.ts';

const HOUR_MS = 3_600_000;
const quiet = { debug() {}, info() {}, warn() {}, error() {} };
let dir: string;
let server: NameServer;
let clock: { wallMs: number; monoMs: number };
let disk: Map<string, string>;
let learned: Learned[];
let made: ReturnType<typeof createNameResolver>[];

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'plumbline-names-'));
  writeFileSync(join(dir, 'hosts'), '');
  clock = { wallMs: 1_700_000_000_000, monoMs: 1000 };
  disk = new Map();
  learned = [];
  made = [];
  server = await new NameServer().start();
});
afterEach(async () => {
  for (const names of made) await names.stop();
  await server.stop();
  rmSync(dir, { recursive: true });
});

function resolver(listener = async (one: Learned) => void learned.push(one)) {
  const names = createNameResolver({
    servers: [server.address],
    memory: {
      keep: (name, text) => (text === null ? void disk.delete(name) : void disk.set(name, text)),
      kept: (name) => disk.get(name) ?? null,
    },
    clock: { nowMs: () => clock.wallMs, monoMs: () => clock.monoMs },
    logger: quiet,
    hostsFile: join(dir, 'hosts'),
  });
  names.onLearned(listener);
  made.push(names);
  return names;
}

function pass(ms: number): void {
  clock.wallMs += ms;
  clock.monoMs += ms;
}

describe('names of policies', () => {
  it('are looked up, of both families, before they are waited for no more, and told', async () => {
    server.zone.set('api.example', ['192.0.2.1', '2001:db8:0:0:0:0:0:1']);
    const names = resolver();
    await names.start();
    await names.watch(['api.example', 'unknown.example']);
    expect(names.known().get('api.example')).toEqual(['192.0.2.1', '2001:db8::1']);
    expect(names.known().get('unknown.example')).toEqual([]);
    expect(names.namesOf('192.0.2.1')).toEqual(['api.example']);
    expect(learned).toEqual([
      { host: 'api.example', addresses: ['192.0.2.1', '2001:db8::1'], keepS: 86_400 },
    ]);
  });

  it('are united over time, known after a restart, and forgotten a day after they were last seen', async () => {
    server.zone.set('api.example', ['192.0.2.1']);
    const names = resolver();
    await names.start();
    await names.watch(['api.example']);
    server.zone.set('api.example', ['192.0.2.2']);
    pass(61_000);
    await names.watch(['api.example']);
    await expect.poll(() => names.known().get('api.example')).toEqual(['192.0.2.1', '192.0.2.2']);
    await names.stop();
    server.isSilent = true;
    const again = resolver();
    expect(again.known().get('api.example')).toEqual(['192.0.2.1', '192.0.2.2']);
    pass(25 * HOUR_MS);
    const later = resolver();
    expect(later.known().get('api.example') ?? []).toEqual([]);
  });

  it('are asked for again when their records expire, and not before', async () => {
    server.zone.set('api.example', ['192.0.2.1']);
    const names = resolver();
    await names.start();
    await names.watch(['api.example']);
    const asked = server.asked.length;
    pass(59_000);
    await names.watch(['api.example']);
    pass(2000);
    await names.watch(['api.example']);
    await expect.poll(() => server.asked.length).toBe(2 * asked);
  });

  it('are told again only when that is due, or when it failed', async () => {
    server.zone.set('api.example', ['192.0.2.1']);
    let isFailing = true;
    const names = resolver(async (one) => {
      learned.push(one);
      if (isFailing) throw new Error('the dataplane is busy');
    });
    await names.start();
    await names.watch(['api.example']);
    isFailing = false;
    for (const passedMs of [61_000, 61_000, 2 * HOUR_MS]) {
      const before = server.asked.length;
      pass(passedMs);
      await names.watch(['api.example']);
      await expect.poll(() => server.asked.length).toBeGreaterThan(before + 1);
      // The answers to both questions have come when a third is not needed to know the address.
      await expect.poll(() => names.known().get('api.example')).toEqual(['192.0.2.1']);
    }
    await names.stop();
    expect(learned.length).toBe(3);
  });

  it('are kept before the dataplane is told of them, so that it never has what nobody vouches for', async () => {
    server.zone.set('api.example', ['192.0.2.1']);
    const keptWhenTold: string[] = [];
    const names = resolver(async () => void keptWhenTold.push(disk.get('names/known') ?? ''));
    await names.start();
    await names.watch(['api.example']);
    await names.observe('api.example', ['192.0.2.2'], 30);
    expect(keptWhenTold.map((text) => Object.keys(JSON.parse(text || '{}')['api.example'] ?? {}))).toEqual([
      ['192.0.2.1'],
      ['192.0.2.1', '192.0.2.2'],
    ]);
  });

  it('have the address that was answered last at the end, and make room by what was unseen for longest', async () => {
    const names = resolver();
    await names.start();
    await names.watch(['api.example']);
    const many = Array.from({ length: 1024 }, (_, i) => `10.0.${i >> 8}.${i & 255}`);
    await names.observe('api.example', many, 30);
    pass(1000);
    await names.observe('api.example', ['10.0.0.0'], 30);
    pass(1000);
    await names.observe('api.example', ['192.0.2.1', '2001:db8::1'], 30);
    const known = names.known().get('api.example') ?? [];
    expect(known.slice(-3)).toEqual(['10.0.0.0', '192.0.2.1', '2001:db8::1']);
    expect(known).toHaveLength(1025);
    expect(known).not.toContain('10.0.0.1');
    expect(names.namesOf('10.0.0.1')).toEqual([]);
    expect(learned.at(-1)?.addresses).toEqual(['192.0.2.1', '2001:db8::1']);
    await names.stop();
    expect(resolver().known().get('api.example')).toEqual(known);
  });

  it('in the hosts file have the addresses that are there', async () => {
    writeFileSync(join(dir, 'hosts'), '127.0.0.1 localhost\n192.0.2.9 db db.example # the old one\n');
    const names = resolver();
    await names.start();
    await names.watch(['db.example']);
    expect(names.known().get('db.example')).toEqual(['192.0.2.9']);
  });

  it('that the forwarder sees are learned when they are wanted', async () => {
    const names = resolver();
    await names.start();
    await names.watch(['api.example']);
    await names.observe('API.example.', ['192.0.2.5'], 30);
    await names.observe('other.example', ['192.0.2.6'], 30);
    expect(learned.map(({ host, addresses }) => [host, addresses])).toEqual([['api.example', ['192.0.2.5']]]);
  });
});
