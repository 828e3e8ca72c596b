import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { createNftEnforcer } from '../../../adapters/nft/enforcer.ts';
import { nameSet } from '../../../core/dataplane/nftables/identifiers.ts';
import { systemClock } from '../../../core/ports/clock.ts';
import { silentLogger } from '../../contract/silent-logger.ts';
import { counts, FAR, FAR_TOO, policy, World, wanted } from './world.ts';

let world: World;
let earlier = '';
beforeAll(async () => {
  world = new World();
  await world.open();
});
afterAll(() => world.remove());
beforeEach(() => world.renew());
afterEach(() => world.enforcer.withdraw());

const shop = policy('payments', [{ name: 'shop', to: ['https://shop.example'] }]);
const other = policy('other', [{ name: 'web', to: [`tcp://${FAR}:80`] }]);
const names = new Map([['shop.example', [FAR]]]);
const enforcerBy = (run: readonly [string, ...string[]]) =>
  createNftEnforcer({ run, clock: systemClock, logger: silentLogger });

test('the start asks for every feature and puts nothing in force', async () => {
  expect(world.nft('list ruleset')).toBe('');
});

test('the boot file alone puts everything in force that was applied and learned', async () => {
  await world.enforcer.apply(wanted([shop], { names }));
  await world.enforcer.learn('shop.example', [FAR_TOO], 3600);
  await world.enforcer.stop();
  expect(statSync(world.bootFile).mode & 0o777).toBe(0o600);
  world.nft('flush ruleset');
  // As the unit file has it.
  execFileSync('ip', ['netns', 'exec', world.site, 'nft', '-j', '-f', world.bootFile], { stdio: 'pipe' });
  expect(await world.connect(world.checkout, FAR, 443)).toBe('connected');
  expect(await world.connect(world.checkout, FAR_TOO, 443)).toBe('connected');
  expect(await world.connect(world.checkout, FAR, 80)).toBe('ECONNREFUSED');
  // A second time it finds the table there.
  execFileSync('ip', ['netns', 'exec', world.site, 'nft', '-j', '-f', world.bootFile], { stdio: 'pipe' });
  expect(readdirSync(world.dir)).toEqual(['enforced.nft.json']);
});

test('a collector that starts again takes over what is in force: counters and addresses go on, but none that it never learned', async () => {
  await world.enforcer.apply(wanted([shop], { names }));
  await world.enforcer.learn('shop.example', [FAR_TOO], 3600);
  await world.connect(world.checkout, FAR_TOO, 443);
  world.nft(`add element inet plumbline ${nameSet('shop.example', 4)} { 203.0.113.66 }`);
  world.enforcer = world.create();
  await world.enforcer.start();
  expect((await world.enforcer.observe()).differences).toEqual([
    'the table is there, though nothing was applied',
  ]);
  await world.enforcer.apply(wanted([shop], { names: new Map([['shop.example', [FAR, FAR_TOO]]]) }));
  expect(world.nft('list ruleset')).not.toContain('203.0.113.66');
  expect(await world.connect(world.checkout, FAR_TOO, 443)).toBe('connected');
  const observed = await world.enforcer.observe();
  expect(counts(observed)).toEqual({ payments: { shop: 2, denied: 0 } });
  expect(observed.differences).toEqual([]);
});

test('a name whose set is full goes on: what was not seen for longest makes room, and it shows', async () => {
  await world.enforcer.apply(wanted([shop]));
  await world.enforcer.learn('shop.example', ['198.51.100.1'], 1800);
  const many = Array.from({ length: 1023 }, (_, i) => `10.9.${i >> 8}.${i & 255}`);
  await world.enforcer.learn('shop.example', many, 3600);
  await world.enforcer.learn('shop.example', [FAR], 3600);
  expect(await world.connect(world.checkout, FAR, 443)).toBe('connected');
  const { differences, fullSets } = await world.enforcer.observe();
  expect([differences, fullSets.length]).toEqual([[], 1]);
  const listed = world.nft(`list set inet plumbline ${nameSet('shop.example', 4)}`);
  expect(listed).toContain('10.9.3.254');
  expect(listed).not.toContain('198.51.100.1');
});

test('what an earlier process applied is held, and back after a change, also when another process puts it back', async () => {
  await world.enforcer.apply(wanted([shop], { names }));
  await world.enforcer.learn('shop.example', [FAR_TOO], 3600);
  await world.enforcer.stop();
  const second = world.create();
  await second.start();
  await second.hold();
  await second.apply(wanted([other]));
  expect(await world.connect(world.checkout, FAR, 443)).toBe('ECONNREFUSED');
  const third = world.create();
  await third.start();
  expect(await third.putBack()).toBe(true);
  for (const address of [FAR, FAR_TOO])
    expect(await world.connect(world.checkout, address, 443)).toBe('connected');
  expect(await world.connect(world.checkout, FAR, 80)).toBe('ECONNREFUSED');
  // It can be held and put back again, and gone on from.
  await third.hold();
  await third.apply(wanted([other]));
  expect(await third.putBack()).toBe(true);
  expect(await world.connect(world.checkout, FAR, 443)).toBe('connected');
  await third.apply(wanted([other]));
  expect(await world.connect(world.checkout, FAR, 80)).toBe('connected');
  await third.withdraw();
  expect(readdirSync(world.dir)).toEqual([]);
  await third.hold();
  expect(await third.putBack()).toBe(false);
});

test.each([
  ['damaged', () => writeFileSync(world.bootFile, '{"nftables":')],
  ['missing', () => rmSync(world.bootFile)],
  ['of an earlier generation', () => writeFileSync(world.bootFile, earlier)],
])('what is in force is held and back though the boot file is %s', async (_what, spoil) => {
  await world.enforcer.apply(wanted([other]));
  earlier = readFileSync(world.bootFile, 'utf8');
  await world.enforcer.hold();
  await world.enforcer.apply(wanted([shop], { names }));
  await world.enforcer.learn('shop.example', [FAR_TOO], 3600);
  await world.enforcer.stop();
  spoil();
  const second = world.create();
  await second.start();
  await second.hold();
  await second.apply(wanted([other]));
  expect(await second.putBack()).toBe(true);
  for (const address of [FAR, FAR_TOO])
    expect(await world.connect(world.checkout, address, 443)).toBe('connected');
  expect(await world.connect(world.checkout, FAR, 80)).toBe('ECONNREFUSED');
  // As the unit file has it, at the next start of the machine.
  world.nft('flush ruleset');
  execFileSync('ip', ['netns', 'exec', world.site, 'nft', '-j', '-f', world.bootFile], { stdio: 'pipe' });
  expect(await world.connect(world.checkout, FAR, 443)).toBe('connected');
  expect(await world.connect(world.checkout, FAR, 80)).toBe('ECONNREFUSED');
  await second.apply(wanted([shop], { names }));
  expect((await second.observe()).differences).toEqual([]);
});

test('what could not be put back is not held, and says so before anything is tried', async () => {
  await world.enforcer.apply(wanted([other]));
  await world.enforcer.hold();
  // It lists, and takes nothing.
  const script = join(world.dir, 'nft');
  writeFileSync(
    script,
    `#!/bin/sh\ncase "$1" in -c) echo "Error: syntax" >&2; exit 1;; esac\nexec nft "$@"\n`,
  );
  chmodSync(script, 0o755);
  const run = ['ip', 'netns', 'exec', world.site, script] as const;
  const { bootFile } = world;
  const picky = createNftEnforcer({ run, bootFile, clock: systemClock, logger: silentLogger });
  await expect(picky.hold()).rejects.toMatchObject({ code: 'rejected' });
  rmSync(script);
});

test('what was held and can be read no more is refused, for good, so that whoever asked goes another way', async () => {
  await world.enforcer.apply(wanted([shop]));
  await world.enforcer.hold();
  const held = `${world.bootFile}.held`;
  writeFileSync(held, 'x');
  await expect(world.enforcer.putBack()).rejects.toMatchObject({ code: 'rejected' });
  rmSync(held);
  mkdirSync(held);
  await expect(world.enforcer.putBack()).rejects.toMatchObject({ code: 'rejected' });
  rmdirSync(held);
});

test('withdrawing removes the boot file, also when another process applied it', async () => {
  await world.enforcer.apply(wanted([shop]));
  expect(existsSync(world.bootFile)).toBe(true);
  await world.create().withdraw();
  expect(existsSync(world.bootFile)).toBe(false);
  expect(world.nft('list ruleset')).toBe('');
});

test('names are no part of what the kernel is told', async () => {
  await world.enforcer.apply(wanted([shop], { names }));
  const told = `${readFileSync(world.bootFile, 'utf8')}${world.nft('list ruleset')}`;
  expect(told).not.toMatch(/shop|payments|checkout|example/);
});

test('two at once on one table both come to their end, and the last one wins whole', async () => {
  const rival = world.create();
  await rival.start();
  const other = policy('other', [{ name: 'web', to: [`https://${FAR}`] }]);
  const rounds = Array.from({ length: 8 }, (_, i) => i + 1);
  const busy = (error: unknown) => expect(error).toMatchObject({ code: 'busy' });
  await Promise.all([
    (async () => {
      for (const revision of rounds) await rival.apply(wanted([other], { revision })).catch(busy);
    })(),
    (async () => {
      for (const revision of rounds)
        await world.enforcer.apply(wanted([shop], { revision, names })).catch(busy);
    })(),
  ]);
  await world.enforcer.apply(wanted([shop], { revision: 99, names }));
  const observed = await world.enforcer.observe();
  expect(observed.differences).toEqual([]);
  expect(await world.connect(world.checkout, FAR, 443)).toBe('connected');
  expect(await world.connect(world.checkout, FAR, 80)).toBe('ECONNREFUSED');
});

test('a machine without nft is unsupported, and a user without the right is told so', async () => {
  await expect(enforcerBy(['/nonexistent/nft']).start()).rejects.toMatchObject({ code: 'unsupported' });
  const { site } = world;
  const unprivileged = [
    'ip',
    'netns',
    'exec',
    site,
    'setpriv',
    '--reuid',
    '30001',
    '--clear-groups',
    'nft',
  ] as const;
  await expect(enforcerBy(unprivileged).start()).rejects.toMatchObject({
    code: 'not-permitted',
    detail: expect.stringContaining('CAP_NET_ADMIN'),
  });
});
