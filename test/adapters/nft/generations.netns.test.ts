import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { counts, FAR, FAR_6, FAR_TOO, flows, policy, World, wanted } from './world.ts';

let world: World;
beforeAll(async () => {
  world = new World();
  await world.open();
});
afterAll(() => world.remove());
beforeEach(() => world.renew());
afterEach(() => world.enforcer.withdraw());

const web = { name: 'web', to: [{ cidr: `${FAR}/32`, ports: ['443/TCP'] }] };
const shop = { name: 'shop', to: ['https://shop.example'] };
const names = new Map([['shop.example', [FAR]]]);
const day = 86_400;

test('counters go on when the same is applied again, and when another policy comes or goes', async () => {
  const payments = policy('payments', [web]);
  const second = policy('second', [{ name: 'more', to: [`tcp://${FAR}:444`] }]);
  await world.enforcer.apply(wanted([payments]));
  await world.connect(world.checkout, FAR, 443);
  await world.connect(world.checkout, FAR, 80);
  await world.enforcer.apply(wanted([payments]));
  expect(counts(await world.enforcer.observe())).toEqual({ payments: { web: 1, denied: 1 } });

  await world.enforcer.apply(wanted([payments, second], { revision: 2 }));
  await world.connect(world.checkout, FAR, 443);
  expect(counts(await world.enforcer.observe())).toEqual({
    payments: { web: 2, denied: 1 },
    second: { more: 0, denied: 0 },
  });

  await world.enforcer.apply(wanted([payments], { revision: 3 }));
  const observed = await world.enforcer.observe();
  expect(counts(observed)).toEqual({ payments: { web: 2, denied: 1 } });
  expect(observed.differences).toEqual([]);
});

test('applying the same again changes nothing at all', async () => {
  const all = wanted([policy('payments', [web, shop])], { names });
  await world.enforcer.apply(all);
  await world.connect(world.checkout, FAR, 80);
  const before = world.nft('list table inet plumbline');
  const handles = world.nft('-a list chain inet plumbline output');
  await world.enforcer.apply(all);
  expect(world.nft('-a list chain inet plumbline output')).toBe(handles);
  expect(withoutTimes(world.nft('list table inet plumbline'))).toBe(withoutTimes(before));
});

test('a new generation begins at zero, and what was denied is listed anew with a revision', async () => {
  await world.enforcer.apply(wanted([policy('payments', [web])]));
  await world.connect(world.checkout, FAR, 443);
  await world.connect(world.checkout, FAR, 80);
  await world.enforcer.apply(wanted([policy('payments', [web], { generation: 2 })], { revision: 2 }));
  const observed = await world.enforcer.observe();
  expect(observed.policies.map(({ generation }) => generation)).toEqual([2]);
  expect(counts(observed)).toEqual({ payments: { web: 0, denied: 0 } });
  expect(flows(observed)).toEqual([`allowed checkout egress TCP ${FAR} 443 x1`]);
  expect(observed.differences).toEqual([]);
  expect(world.nft('list counters').match(/counter [a-z]+_/g)).toHaveLength(4);
});

test('audit becomes enforcement without a gap in the counters', async () => {
  await world.enforcer.apply(wanted([policy('payments', [web], { mode: 'audit' })]));
  await world.connect(world.checkout, FAR, 443);
  await world.enforcer.apply(wanted([policy('payments', [web])], { revision: 2 }));
  expect(await world.connect(world.checkout, FAR, 443)).toBe('connected');
  expect(await world.connect(world.checkout, FAR, 80)).toBe('ECONNREFUSED');
  expect(counts(await world.enforcer.observe())).toEqual({ payments: { web: 2, denied: 1 } });
});

test('calls that come together are served one after the other, in order', async () => {
  const generations = [1, 2, 3, 4, 5];
  const calls = generations.flatMap((n) => [
    world.enforcer.apply(
      wanted([policy('payments', [web, shop], { generation: n })], { revision: n, names }),
    ),
    world.enforcer.learn('shop.example', [`10.77.0.${n + 100}`], day),
  ]);
  const observing = world.enforcer.observe();
  await Promise.all(calls);
  const { policies, differences } = await observing;
  expect([policies.map(({ generation }) => generation), differences]).toEqual([[5], []]);
});

test('no packet slips through while one generation takes the place of another', async () => {
  const generation = (n: number) => wanted([policy('payments', [web], { generation: n })], { revision: n });
  await world.enforcer.apply(generation(1));
  const outcomes = new Set<string>();
  let done = false;
  const traffic = (async () => {
    while (!done) {
      outcomes.add(`80 ${await world.connect(world.checkout, FAR, 80)}`);
      outcomes.add(`443 ${await world.connect(world.checkout, FAR, 443)}`);
    }
  })();
  for (let n = 2; n <= 12; n++) await world.enforcer.apply(generation(n));
  done = true;
  await traffic;
  expect([...outcomes].sort()).toEqual(['443 connected', '80 ECONNREFUSED']);
});

test("a name's set is filled by what is known and by look-ups, and kept over another generation", async () => {
  await world.enforcer.apply(wanted([policy('payments', [shop])], { names }));
  expect(await world.connect(world.checkout, FAR, 443)).toBe('connected');
  expect(await world.connect(world.checkout, FAR_TOO, 443)).toBe('ECONNREFUSED');
  expect(await world.connect(world.checkout, FAR_6, 443)).toMatch(/^E(CONNREFUSED|ACCES)$/);
  await Promise.all([
    world.enforcer.learn('shop.example', [FAR_TOO, FAR_6.toUpperCase()], day),
    world.enforcer.learn('unknown.example', [FAR_TOO], day),
    world.enforcer.learn('shop.example', ['not an address'], day),
  ]);
  expect(await world.connect(world.checkout, FAR_TOO, 443)).toBe('connected');
  expect(await world.connect(world.checkout, FAR_6, 443)).toBe('connected');
  await world.enforcer.apply(
    wanted([policy('payments', [shop, web], { generation: 2 })], { revision: 2, names: new Map() }),
  );
  expect(await world.connect(world.checkout, FAR_TOO, 443)).toBe('connected');
  const observed = await world.enforcer.observe();
  expect(counts(observed)).toEqual({ payments: { shop: 1, web: 0, denied: 0 } });
  expect(observed.differences).toEqual([]);
});

test('a look-up renews what is known, and what is not renewed runs out', async () => {
  await world.enforcer.apply(wanted([policy('payments', [shop])], { names: new Map() }));
  await world.enforcer.learn('shop.example', [FAR, FAR_TOO], 5);
  await world.enforcer.learn('shop.example', [FAR], day);
  expect(world.nft('list sets')).toMatch(/10\.77\.0\.2 timeout 1d/);
  expect(await world.connect(world.checkout, FAR_TOO, 443)).toBe('connected');
  await expect.poll(() => world.connect(world.checkout, FAR_TOO, 443)).toBe('ECONNREFUSED');
  expect(await world.connect(world.checkout, FAR, 443)).toBe('connected');
  expect((await world.enforcer.observe()).differences).toEqual([]);
});

test('nothing is learned before anything is applied', async () => {
  await world.enforcer.learn('shop.example', [FAR], day);
  expect(world.nft('list ruleset')).toBe('');
});

test('a name with more addresses than its set can hold stays enforced, and the set is said to be full', async () => {
  await world.enforcer.apply(wanted([policy('payments', [shop])]));
  const many = Array.from({ length: 1100 }, (_, i) => `10.1.${i >> 8}.${i & 255}`);
  await world.enforcer.learn('shop.example', [FAR, ...many], day);
  expect(await world.connect(world.checkout, FAR, 443)).toBe('connected');
  const observed = await world.enforcer.observe();
  expect(observed.fullSets).toEqual(['addresses of shop.example (IPv4)']);
  expect(observed.differences).toEqual([]);
});

test('a full set of destinations is reported, and verdicts are as before', async () => {
  await world.enforcer.apply(wanted([policy('payments', [{ name: 'web', to: [`https://${FAR}`] }])]));
  const [, allowed = ''] =
    /set (s4_[0-9a-f]+)/.exec(world.nft('list chain inet plumbline output; list sets')) ?? [];
  const sets = [...world.nft('list sets').matchAll(/set ([sd]4_[0-9a-f]+)/g)].map(([, name]) => name);
  expect(allowed).not.toBe('');
  const elements = Array.from({ length: 4096 }, (_, i) => `tcp . 10.2.${i >> 8}.${i & 255} . 1`).join(', ');
  for (const set of sets) world.nftFile(`add element inet plumbline ${set} { ${elements} }`);
  expect(await world.connect(world.checkout, FAR, 443)).toBe('connected');
  expect(await world.connect(world.checkout, FAR, 80)).toBe('ECONNREFUSED');
  const observed = await world.enforcer.observe();
  expect(counts(observed)).toEqual({ payments: { web: 1, denied: 1 } });
  expect(observed.fullSets).toEqual(
    expect.arrayContaining(['allowed egress of checkout (IPv4)', 'denied egress of checkout (IPv4)']),
  );
  expect(observed.differences).toEqual([]);
});

test('withdrawing leaves nothing, however often', async () => {
  world.nft('add table inet others');
  await world.enforcer.apply(wanted([policy('payments', [web, shop])], { names }));
  await world.enforcer.withdraw();
  await world.enforcer.withdraw();
  expect(world.nft('list ruleset').trim()).toMatch(/^table inet others \{\s*\}$/);
  expect(await world.connect(world.checkout, FAR, 80)).toBe('connected');
  expect(await world.enforcer.observe()).toEqual({ differences: [], policies: [], flows: [], fullSets: [] });
});

test('what can not be expressed is refused, and what was in force still is', async () => {
  await world.enforcer.apply(wanted([policy('payments', [web])]));
  const ingress = [{ name: 'in', from: [{ cidr: '10.0.0.0/8', ports: ['80/TCP'] }] }];
  await expect(
    world.enforcer.apply(
      wanted([policy('payments', [], { generation: 2, spec: { ingress } })], { revision: 2 }),
    ),
  ).rejects.toMatchObject({ code: 'rejected', detail: expect.stringContaining('interface') });
  expect(await world.connect(world.checkout, FAR, 443)).toBe('connected');
  expect((await world.enforcer.observe()).differences).toEqual([]);
});

function withoutTimes(text: string): string {
  return text.replaceAll(/expires \S+/g, '');
}
