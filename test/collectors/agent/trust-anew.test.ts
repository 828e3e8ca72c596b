/** A site that its owner has join again, at another hub or at one that came back with other keys. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { trustAnew } from '../../../collectors/agent/trust-anew.ts';
import { allowing, assignedOf, makeKey, specOf } from './scripted-hub.ts';
import { SITE, SiteWorld } from './site-world.ts';

const A = allowing('198.51.100.0/24');
const B = allowing('203.0.113.0/24');
const other = makeKey('other');
let world: SiteWorld;

beforeEach(async () => {
  world = new SiteWorld();
  await world.boot();
  world.hub.connect();
  world.hub.assign('payments', 1, A);
  await world.interval();
  await world.stop();
  // Another hub, whose versions begin anew.
  world.hub.n = 0;
  world.hub.put('Keys', world.hub.keys([other]), other);
  world.hub.put('Site', world.hub.site(SITE, { env: 'test' }), other);
  world.hub.forget('target payments');
  world.hub.forget('spec payments 1');
});
afterEach(() => world.stop());

const memory = () => ({
  keep: (name: string, text: string | null) =>
    text === null ? void world.disk.delete(name) : void world.disk.set(name, text),
  kept: (name: string) => world.disk.get(name) ?? null,
});

it('refuses another hub for as long as it has not joined it', async () => {
  await world.boot();
  world.hub.connect();
  const report = await world.interval();
  expect(report?.refusals.map(({ code }) => code)).toContain('unknown-key');
  expect(report?.keyring).toMatchObject({ ids: ['k1'] });
});

it('believes the hub that it joined, keeps what is in force until that speaks of it, and then follows', async () => {
  trustAnew(memory(), true);
  await world.boot();
  world.hub.connect();
  const report = await world.interval();
  expect(report).toMatchObject({
    refusals: [],
    keyring: { version: { epoch: 1, n: 1 }, ids: ['other'] },
    labelsSeen: { epoch: 1, n: 2 },
    policies: [{ name: 'payments', generation: 1, phase: 'orphaned', live: true }],
  });
  expect(world.kernel.policies()).toEqual(['payments 1 enforce']);
  world.hub.put('spec payments 2', specOf('payments', 2, B), other);
  world.hub.put('target payments', world.hub.target('payments', assignedOf(2, B)), other);
  world.hub.connect();
  await world.intervals(2);
  expect(world.kernel.policies()).toEqual(['payments 2 enforce']);
});

it('keeps what is in force from the first chunk on, also under labels that its policies are not for', async () => {
  trustAnew(memory(), true);
  world.hub.put('Site', world.hub.site(SITE, { env: 'elsewhere' }), other);
  await world.boot();
  world.hub.connect(false);
  await world.interval();
  expect(world.kernel.policies()).toEqual(['payments 1 enforce']);
  expect(await world.status('payments')).toMatchObject({ phase: 'orphaned', live: true });
  world.hub.send([], true);
  await world.interval();
  expect(world.kernel.policies()).toEqual(['payments 1 enforce']);
  expect(await world.status('payments')).toMatchObject({ phase: 'orphaned', live: true });
});

it('follows the hub that it joined as soon as that speaks of a policy, before it has said everything', async () => {
  trustAnew(memory(), true);
  await world.boot();
  world.hub.put('target payments', world.hub.target('payments', null), other);
  world.hub.connect(false);
  await world.intervals(2);
  expect(world.kernel.policies()).toEqual([]);
});

it('that has forgotten what it put there, but not the keys of before, believes the hub that it joined', async () => {
  const kept = JSON.parse(world.disk.get('policy/state') ?? '');
  world.disk.set(
    'policy/state',
    JSON.stringify({ ...kept, touched: false, good: { policies: [], revision: 0 }, targets: [] }),
  );
  trustAnew(memory(), true);
  await world.boot();
  world.hub.put('spec payments 2', specOf('payments', 2, B), other);
  world.hub.put('target payments', world.hub.target('payments', assignedOf(2, B)), other);
  world.hub.connect(false);
  const report = await world.intervals(2);
  expect(world.kernel.policies()).toEqual(['payments 1 enforce']);
  expect(report?.keyring).toMatchObject({ ids: ['other'] });
  world.hub.send([], true);
  await world.intervals(2);
  expect(world.kernel.policies()).toEqual(['payments 2 enforce']);
});

it('has nothing to forget when it never heard a hub', () => {
  world.disk.clear();
  trustAnew(memory(), false);
  expect(world.disk.size).toBe(0);
});

it('that has forgotten everything, but not what holds its machine, opens nothing before its hub has spoken', async () => {
  world.disk.clear();
  trustAnew(memory(), true);
  await world.boot();
  expect(world.kernel.policies()).toEqual(['payments 1 enforce']);
  world.hub.put('spec payments 2', specOf('payments', 2, B), other);
  world.hub.put('target payments', world.hub.target('payments', assignedOf(2, B)), other);
  world.hub.connect();
  await world.intervals(2);
  expect(world.kernel.policies()).toEqual(['payments 2 enforce']);
});
