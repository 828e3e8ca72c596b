import { expect, test } from 'vitest';
import { learning, transaction, wholeTable } from '../../../../core/dataplane/nftables/commands.ts';
import { compile } from '../../../../core/dataplane/nftables/compile.ts';
import { renderRules } from '../../../../core/dataplane/nftables/render.ts';
import { everyName, representative } from './representative.ts';

const DIALECT = { dynamicFlag: false };
// Renewed by `vitest run -u test/core/dataplane`.
const golden = (name: string) => new URL(`./golden/${name}`, import.meta.url).pathname;
const lines = (text: string) => {
  const { nftables }: { nftables: unknown[] } = JSON.parse(text);
  return `${nftables.map((command) => JSON.stringify(command)).join('\n')}\n`;
};

test('a representative site compiles to these commands', async () => {
  const model = compile(representative);
  await expect(lines(transaction(model, null, everyName(86_400), DIALECT))).toMatchFileSnapshot(
    golden('commands.jsonl'),
  );
});

test('the same wish compiles to the same table, whatever was compiled before', () => {
  const text = () => transaction(compile(structuredClone(representative)), null, everyName(60), DIALECT);
  expect(text()).toBe(text());
});

test('for the start of the machine the table is made whatever was there', () => {
  const { nftables } = JSON.parse(wholeTable(compile(representative), everyName(60), DIALECT));
  expect(nftables.slice(0, 3).map((command: object) => Object.keys(command)[0])).toEqual([
    'add',
    'delete',
    'add',
  ]);
});

test('a version of nft that asks for the flag on sets which packets fill gets it, on those alone', () => {
  const { nftables } = JSON.parse(
    transaction(compile(representative), null, new Map(), { dynamicFlag: true }),
  );
  const sets = nftables.flatMap(
    (command: { add?: { set?: { name: string; flags: string[] } } }) => command.add?.set ?? [],
  );
  for (const { name, flags } of sets)
    expect(flags, name).toEqual(name.startsWith('n') ? ['timeout'] : ['timeout', 'dynamic']);
  expect(sets.length).toBeGreaterThan(8);
});

test('no name of a person reaches the kernel', () => {
  const text = transaction(compile(representative), null, everyName(60), DIALECT);
  expect(text).not.toMatch(/payments|checkout|trial|inward|clients|example/);
});

test('generations, policies, rules and revisions have counters and sets of their own; another policy changes none', () => {
  const names = (wanted: typeof representative) => {
    const { counters, sets } = compile(wanted);
    return { counters: counters.map(({ name }) => name), sets: sets.map(({ name }) => name) };
  };
  const before = names(representative);
  expect(new Set(before.counters).size).toBe(before.counters.length);
  const [payments, ...others] = representative.policies;
  if (payments === undefined) throw new Error('no policy');
  const next = names({ ...representative, policies: [{ ...payments, generation: 4 }, ...others] });
  expect(next.counters.filter((name) => before.counters.includes(name))).toHaveLength(
    before.counters.length - 8,
  );
  expect(next.sets).toEqual(before.sets);
  const later = names({ ...representative, revision: 8 });
  expect(later.counters).toEqual(before.counters);
  expect(later.sets.filter((name) => before.sets.includes(name)).every((name) => /^[ns]/.test(name))).toBe(
    true,
  );
  const fewer = names({ ...representative, policies: [payments] });
  expect(before.counters).toEqual(expect.arrayContaining(fewer.counters));
});

test('addresses are stored anew where names are known, and nothing else is said', () => {
  const text = learning(
    compile(representative),
    new Map([['unknown.example', new Map([['192.0.2.1', 60]])]]),
    new Map([['unknown.example', ['192.0.2.2']]]),
  );
  expect(JSON.parse(text)).toEqual({ nftables: [] });
});

test('a compiled policy reads like this in a plan', async () => {
  const text = representative.policies.flatMap(({ spec }) =>
    renderRules(spec, [{ name: 'checkout', binding: 'user checkout' }], 'enforce'),
  );
  await expect(`${text.join('\n')}\n`).toMatchFileSnapshot(golden('rules.txt'));
});
