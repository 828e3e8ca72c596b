import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { counts, FAR, FAR_TOO, policy, World, wanted } from './world.ts';

let world: World;
beforeAll(async () => {
  world = new World();
  await world.open();
});
afterAll(() => world.remove());
beforeEach(() => world.renew());
afterEach(() => world.enforcer.withdraw());

const all = wanted(
  [
    policy('payments', [
      { name: 'shop', to: ['https://shop.example', { cidr: '10.9.0.0/16', ports: ['1-9/UDP'] }] },
    ]),
  ],
  { names: new Map([['shop.example', [FAR]]]) },
);
const identifiers = () => {
  const text = world.nft('list table inet plumbline');
  const one = (prefix: string) => new RegExp(`${prefix}[0-9a-f]{16}`).exec(text)?.[0] ?? '';
  return {
    rule: one('r_'),
    hit: one('h_'),
    workload: one('w_'),
    refuse: one('no_'),
    name: one('n4_'),
    hits: one('c_'),
  };
};
const handleOf = (chain: string, rule: RegExp) => {
  const line = world
    .nft(`-a list chain inet plumbline ${chain}`)
    .split('\n')
    .find((text) => rule.test(text));
  return /handle (\d+)/.exec(line ?? '')?.[1] ?? '';
};

/** What another process does to the table, and what has to be said of it. */
const tampering: Record<string, { does: () => string; said: RegExp[] }> = {
  'the table is deleted': { does: () => 'delete table inet plumbline', said: [/^the table is gone$/] },
  'the ruleset is flushed': { does: () => 'flush ruleset', said: [/^the table is gone$/] },
  'the table is emptied of rules': {
    does: () => 'flush table inet plumbline',
    said: [/chain "base chain output": rule 1 is gone: ct state established,related return/],
  },
  'the table is made dormant': {
    does: () => 'add table inet plumbline { flags dormant; }',
    said: [/^the table has flags/],
  },
  'a base chain is unhooked': {
    does: () => {
      const { workload } = identifiers();
      const chain = 'inet plumbline output';
      return `delete chain ${chain}; add chain ${chain}; add rule ${chain} meta skuid 30001 jump ${workload}`;
    },
    said: [/chain "base chain output": it has no type/],
  },
  'a base chain has another hook': {
    does: () =>
      'delete chain inet plumbline output; add chain inet plumbline output { type filter hook input priority 0; }',
    said: [/chain "base chain output": its hook is "input", not "output"/],
  },
  'a base chain has another priority': {
    does: () =>
      'delete chain inet plumbline output; add chain inet plumbline output { type filter hook output priority 7; }',
    said: [/chain "base chain output": its prio is 7, not 0/],
  },
  'a base chain drops by default': {
    does: () => 'add chain inet plumbline output { type filter hook output priority 0; policy drop; }',
    said: [/chain "base chain output": its policy is "drop", not "accept"/],
  },
  'an earlier accept is inserted': {
    does: () => 'insert rule inet plumbline output ip daddr 10.77.0.3 accept',
    said: [/chain "base chain output": rule 1 was added: ip daddr 10\.77\.0\.3 accept/],
  },
  'an accept is inserted in the chain of a workload': {
    does: () => `insert rule inet plumbline ${identifiers().workload} accept`,
    said: [/chain "egress of checkout": rule 1 was added: accept/],
  },
  'a destination is added to a rule': {
    does: () => `add rule inet plumbline ${identifiers().rule} ip daddr 10.77.0.3 goto ${identifiers().hit}`,
    said: [
      /chain "rule shop of payments \(egress\)": rule 4 was added: ip daddr 10\.77\.0\.3 goto "count of rule shop/,
    ],
  },
  'a rule is widened': {
    does: () => {
      const { rule, hit } = identifiers();
      const handle = handleOf(rule, /10\.9\.0\.0/);
      return `replace rule inet plumbline ${rule} handle ${handle} ip daddr 10.0.0.0/8 udp dport 1-9 goto ${hit}`;
    },
    said: [
      /rule 3 is "ip daddr 10\.0\.0\.0\/8 udp dport 1-9 goto .*", not "ip daddr 10\.9\.0\.0\/16 udp dport 1-9 goto/,
    ],
  },
  'the refusal is taken out': {
    does: () => `flush chain inet plumbline ${identifiers().refuse}`,
    said: [/chain "refused egress of checkout": rule 1 is gone/],
  },
  'a name set is emptied': {
    does: () => `flush set inet plumbline ${identifiers().name}`,
    said: [/^set "addresses of shop\.example \(IPv4\)": 10\.77\.0\.2 is gone from it$/],
  },
  'an address is slipped into a name set': {
    does: () => `add element inet plumbline ${identifiers().name} { ${FAR_TOO} }`,
    said: [/^set "addresses of shop\.example \(IPv4\)": 10\.77\.0\.3 is in it, though no look-up gave it$/],
  },
  'a counter is no longer asked': {
    does: () =>
      `flush chain inet plumbline ${identifiers().hit}; add rule inet plumbline ${identifiers().hit} meta mark set meta mark or 0x20000`,
    said: [/chain "count of rule shop of payments \(egress\)"/],
  },
  'things of others are put into the table': {
    does: () =>
      'add chain inet plumbline x { type filter hook output priority -9; }; add set inet plumbline y { type mark; }; add counter inet plumbline z; add map inet plumbline m { type mark : verdict; }',
    said: [/a chain "x"/, /a set "y"/, /a counter "z"/, /a map "m"/],
  },
};

test.each(Object.entries(tampering))(
  '%s: it is named, and the next apply puts it right',
  async (_what, { does, said }) => {
    await world.enforcer.apply(all);
    expect((await world.enforcer.observe()).differences).toEqual([]);
    world.nft(does());
    const { differences } = await world.enforcer.observe();
    for (const words of said) expect(differences).toContainEqual(expect.stringMatching(words));
    // A set that was filled by nobody's leave is among what is repaired.
    await world.enforcer.apply(all);
    expect((await world.enforcer.observe()).differences).toEqual([]);
    expect(await world.connect(world.checkout, FAR, 443)).toBe('connected');
    expect(await world.connect(world.checkout, FAR_TOO, 443)).toBe('ECONNREFUSED');
  },
);

test('a repair keeps the counters that are still there', async () => {
  await world.enforcer.apply(all);
  await world.connect(world.checkout, FAR, 443);
  world.nft('flush table inet plumbline');
  await world.enforcer.apply(all);
  expect(counts(await world.enforcer.observe())).toEqual({ payments: { shop: 1, denied: 0 } });
});

test('rules of others beside the table are no difference', async () => {
  await world.enforcer.apply(all);
  world.nft(
    'add table inet firewall; add chain inet firewall out { type filter hook output priority 0; policy accept; }',
  );
  expect((await world.enforcer.observe()).differences).toEqual([]);
});

test('reading back changes nothing', async () => {
  await world.enforcer.apply(all);
  world.nft('insert rule inet plumbline output accept');
  const before = world.nft('-a list chain inet plumbline output');
  await world.enforcer.observe();
  expect(world.nft('-a list chain inet plumbline output')).toBe(before);
});
