import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { transaction } from '../../../../core/dataplane/nftables/commands.ts';
import { compile } from '../../../../core/dataplane/nftables/compile.ts';
import { differences, type Known } from '../../../../core/dataplane/nftables/differences.ts';
import { readListing } from '../../../../core/dataplane/nftables/listing.ts';
import { observed } from '../../../../core/dataplane/nftables/observed.ts';
import type { Wanted } from '../../../../core/ports/enforcer.ts';
import { everyName, representative } from './representative.ts';

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
type Listed = { nftables: { [kind: string]: { [key: string]: Json } }[] };

const listed = (): Listed =>
  JSON.parse(readFileSync(new URL('./golden/listed-by-nft-1.0.6.json', import.meta.url), 'utf8'));
const model = compile(representative);
const known: Known = everyName('sure' as const);
const found = (listing: Listed, names = known) =>
  differences(model, readListing(JSON.stringify(listing)), names);

test('what nft lists of a table that was written is no difference, however differently it spells it', () => {
  expect(found(listed())).toEqual([]);
});

test('any single change of what is listed is found', () => {
  let changes = 0;
  for (const [i, object] of listed().nftables.entries()) {
    const [kind = '', fields = {}] = Object.entries(object)[0] ?? [];
    if (kind === 'metainfo') continue;
    const changed = (edit: (listing: Listed) => void, what: string) => {
      const listing = listed();
      edit(listing);
      changes++;
      expect(found(listing), `${what} of ${JSON.stringify(object)}`).not.toEqual([]);
    };
    changed(({ nftables }) => nftables.splice(i, 1), 'removal');
    if (kind !== 'counter')
      changed(({ nftables }) => Object.assign(nftables[i]?.[kind] ?? {}, { comment: 'x' }), 'comment');
    if (kind === 'rule') changed(({ nftables }) => nftables.splice(i, 0, object), 'repetition');
    for (const path of leaves(fields)) {
      if (isFree(kind, path, fields)) continue;
      changed((listing) => alter(listing.nftables[i]?.[kind] ?? {}, path), path.join('.'));
    }
  }
  expect(changes).toBeGreaterThan(500);
});

test('two rules that changed places are found', () => {
  const { nftables } = listed();
  let swaps = 0;
  for (let i = 0; i + 1 < nftables.length; i++) {
    const [first, second] = [nftables[i]?.rule, nftables[i + 1]?.rule];
    if (first === undefined || second === undefined || first.chain !== second.chain) continue;
    const swapped = nftables.toSpliced(i, 2, { rule: second }, { rule: first });
    expect(found({ nftables: swapped }), JSON.stringify([first, second])).not.toEqual([]);
    swaps++;
  }
  expect(swaps).toBeGreaterThan(30);
});

test('an address that is about to run out may be there or not, and one that nobody learned may not', () => {
  const fading: Known = everyName('fading' as const);
  expect(found(listed(), fading)).toEqual([]);
  const without = listed();
  for (const { set } of without.nftables) if (set?.name?.toString().startsWith('n')) delete set.elem;
  expect(found(without, fading)).toEqual([]);
  expect(found(without)).toContain('set "addresses of log.example (IPv4)": 198.51.100.9 is gone from it');
  expect(found(listed(), new Map())).toContain(
    'set "addresses of log.example (IPv4)": 198.51.100.9 is in it, though no look-up gave it',
  );
});

test('differences are bounded, and the rest is counted', () => {
  const emptied = { nftables: listed().nftables.filter(({ rule }) => rule === undefined) };
  const differing = found(emptied);
  expect(differing).toHaveLength(32);
  expect(differing.at(-1)).toMatch(/^and \d+ more$/);
});

test('what was counted is read back under policy and rule, and where it went', () => {
  const listing = listed();
  for (const { counter, set } of listing.nftables) {
    if (counter !== undefined) counter.packets = counter.name?.toString().startsWith('p_') ? 2 : 5;
    if (set?.name?.toString().startsWith('d4_') && Array.isArray(set.type))
      set.elem = [
        {
          elem: { val: { concat: ['tcp', '192.0.2.9', 25] }, expires: 9, counter: { packets: 4, bytes: 0 } },
        },
      ];
  }
  const { policies, flows, fullSets } = observed(model, readListing(JSON.stringify(listing)));
  expect(policies.find(({ name }) => name === 'payments')).toEqual({
    kind: 'Allowlist',
    name: 'payments',
    generation: 3,
    rules: ['payments-api', 'log', 'time'].map((rule) => ({ rule, hits: 5, probeHits: 2 })),
    denies: 5,
    probeDenies: 5,
  });
  expect(policies.find(({ name }) => name === 'inward')?.rules).toEqual([
    { rule: 'clients', hits: 5, probeHits: 0 },
  ]);
  expect(flows).toContainEqual({
    workload: 'checkout',
    direction: 'egress',
    address: '192.0.2.9',
    port: 25,
    protocol: 'TCP',
    verdict: 'denied',
    mode: 'enforce',
    connections: 4,
  });
  expect(fullSets).toEqual([]);
});

const port = fc.integer({ min: 1, max: 65_535 });
const ports = fc.array(
  fc
    .tuple(port, port, fc.constantFrom('TCP', 'UDP'))
    .map(([a, b, protocol]) => `${Math.min(a, b)}-${Math.max(a, b)}/${protocol}`),
  { minLength: 1, maxLength: 4 },
);
const network = fc.tuple(fc.nat(255), fc.nat(255), ports).map(([a, b, open]) => ({
  cidr: `${a}.${b}.0.0/16`,
  except: [`${a}.${b}.8.0/24`, `${a}.${b}.9.0/24`],
  ports: open,
}));
const name = fc
  .constantFrom('a.example', 'b.example')
  .chain((host) => ports.map((open) => ({ host, ports: open })));
const rules = fc
  .array(fc.array(fc.oneof(network, name), { minLength: 1, maxLength: 3 }), { maxLength: 4 })
  .map((peers) => peers.map((to, i) => ({ name: `rule-${i}`, to })));
const wish = fc
  .array(fc.record({ egress: rules, mode: fc.constantFrom('audit', 'enforce') }), { maxLength: 3 })
  .map(
    (policies): Wanted => ({
      ...representative,
      policies: policies.map(({ egress, mode }, i) => ({
        kind: 'Allowlist',
        name: `policy-${i}`,
        generation: 1,
        digest: '',
        mode,
        spec: { workloads: '', egress },
      })),
    }),
  );

test('a table never differs from the model that it was written from, and a transaction over it only writes rules again', () => {
  fc.assert(
    fc.property(wish, fc.boolean(), (wanted, dynamicFlag) => {
      const compiled = compile(wanted);
      const written = transaction(compiled, null, new Map(), { dynamicFlag });
      const { nftables }: { nftables: { add: { [kind: string]: object } }[] } = JSON.parse(written);
      const listing = readListing(JSON.stringify({ nftables: nftables.map(({ add }) => add) }));
      expect(differences(compiled, listing, new Map())).toEqual([]);
      const again: typeof nftables = JSON.parse(
        transaction(compiled, listing, new Map(), { dynamicFlag }),
      ).nftables;
      const kinds = again.slice(2).map(({ add }) => Object.keys(add)[0]);
      expect(Object.keys(again[1] ?? {})).toEqual(['flush']);
      expect(kinds.filter((kind) => kind !== 'rule')).toEqual([]);
    }),
    { numRuns: 60 },
  );
});

/** Counts, handles, and what the listing of one table has no choice about. */
function isFree(kind: string, path: readonly string[], fields: { [key: string]: Json }): boolean {
  const [first = ''] = path;
  if (['family', 'table', 'handle', 'packets', 'bytes'].includes(first)) return true;
  if (kind === 'table' && first === 'name') return true;
  if (kind !== 'set') return false;
  return (
    first === 'elem' &&
    (path.includes('timeout') || path.includes('expires') || !String(fields.name).startsWith('n'))
  );
}

function leaves(value: Json, path: string[] = []): string[][] {
  if (typeof value !== 'object' || value === null) return [path];
  return Object.entries(value).flatMap(([key, item]) => leaves(item, [...path, key]));
}

function alter(fields: { [key: string]: Json }, path: readonly string[]): void {
  const [key = '', ...rest] = path;
  const value = fields[key] ?? null;
  if (rest.length === 0) fields[key] = typeof value === 'number' ? value + 1 : `${value ?? ''}x`;
  else if (Array.isArray(value)) fields[key] = alteredItems(value, rest);
  else if (typeof value === 'object' && value !== null) alter(value, rest);
}

function alteredItems(items: readonly Json[], path: readonly string[]): Json[] {
  const holder: { [key: string]: Json } = Object.fromEntries(items.entries());
  alter(holder, path);
  return Object.values(holder);
}
