import { canonicalAddress } from '../../policy/destination.ts';
import { FAMILY, nameSet, TABLE } from './identifiers.ts';
import type { Listing } from './listing.ts';
import type { Chain, DataSet, Model } from './model.ts';
import { baseFields, chainFault, setFault } from './shape.ts';
import type { Json } from './statement.ts';

/** Seconds that each address of a name is kept for, by name and address. */
export type Names = ReadonlyMap<string, ReadonlyMap<string, number>>;

/** Some versions of nft want the flag on sets that packets fill, others do not know it in JSON. */
export type Dialect = { dynamicFlag: boolean };

/**
 * One transaction, as `nft -j -f -` takes it, that makes the table as `model` has it. What `listed` has rightly stays as it
 * is: counters go on, sets keep their elements. Rules are all written again, which nobody can see; only then does what
 * nothing refers to any more go.
 */
export function transaction(model: Model, listed: Listing | null, names: Names, dialect: Dialect): string {
  const commands: Json[] = [{ add: { table: { family: FAMILY, name: TABLE } } }];
  const gone = new Set<string>();
  if (listed !== null) {
    commands.push({ flush: { table: { family: FAMILY, name: TABLE } } });
    const chains = new Map(model.chains.map((chain) => [chain.name, chain]));
    const sets = new Map(model.sets.map((set) => [set.name, set]));
    const counters = new Set(model.counters.map(({ name }) => name));
    const drop = (kind: string, name: string) => {
      gone.add(name);
      commands.push({ delete: { [kind]: { family: FAMILY, table: TABLE, name } } });
    };
    for (const [name, fields] of listed.chains) {
      const chain = chains.get(name);
      if (chain === undefined || chainFault(chain, fields) !== null) drop('chain', name);
    }
    for (const { kind, name } of listed.others.toReversed()) drop(kind, name);
    for (const [name, { fields }] of listed.sets) {
      const set = sets.get(name);
      if (set === undefined || setFault(set, fields) !== null) drop('set', name);
    }
    for (const name of listed.counters.keys()) if (!counters.has(name)) drop('counter', name);
  }
  commands.push(...contents(model, gone, listed, names, dialect));
  return JSON.stringify({ nftables: commands });
}

/** What makes the table whatever was there: for the start of the machine. */
export function wholeTable(model: Model, names: Names, dialect: Dialect): string {
  const table = { table: { family: FAMILY, name: TABLE } };
  const commands = [{ add: table }, { delete: table }, { add: table }];
  return JSON.stringify({ nftables: [...commands, ...contents(model, new Set(), null, names, dialect)] });
}

/**
 * Stores addresses of names, and renews those that are there, after those of `gone` made room. Only names whose sets are in
 * `model` are taken.
 */
export function learning(model: Model, names: Names, gone: ReadonlyMap<string, readonly string[]>): string {
  const known = new Set(model.sets.map(({ name }) => name));
  const commands: Json[] = [];
  for (const [host, addresses] of gone)
    for (const family of [4, 6] as const) {
      const set = nameSet(host, family);
      const elements = addresses.filter((address) => address.includes(':') === (family === 6));
      if (!known.has(set) || elements.length === 0) continue;
      const plain = element(set, elements);
      commands.push({ add: plain }, { delete: plain });
    }
  for (const [host, addresses] of names)
    for (const family of [4, 6] as const) {
      const set = nameSet(host, family);
      const elements = ofFamily(addresses, family);
      if (!known.has(set) || elements.length === 0) continue;
      // Before Linux 6.12 adding one that is there leaves its time as it was, and deleting one that is not is an error.
      const plain = element(
        set,
        elements.map(([address]) => address),
      );
      commands.push({ add: plain }, { delete: plain }, { add: timed(set, elements) });
    }
  return JSON.stringify({ nftables: commands });
}

export function removal(): string {
  const table = { table: { family: FAMILY, name: TABLE } };
  return JSON.stringify({ nftables: [{ add: table }, { delete: table }] });
}

function contents(
  model: Model,
  gone: ReadonlySet<string>,
  listed: Listing | null,
  names: Names,
  dialect: Dialect,
): Json[] {
  const stays = (name: string, there: ReadonlyMap<string, unknown> | undefined) =>
    there?.has(name) === true && !gone.has(name);
  return [
    ...model.counters
      .filter(({ name }) => !stays(name, listed?.counters))
      .map(({ name }) => ({ add: { counter: { family: FAMILY, table: TABLE, name } } })),
    ...model.sets.filter(({ name }) => !stays(name, listed?.sets)).map((set) => addSet(set, dialect)),
    ...model.sets.flatMap((set) => elementsOf(set, stays(set.name, listed?.sets) ? listed : null, names)),
    ...model.chains.filter(({ name }) => !stays(name, listed?.chains)).map(addChain),
    ...model.chains.flatMap(({ name, rules }) =>
      rules.map((expr) => ({ add: { rule: { family: FAMILY, table: TABLE, chain: name, expr } } })),
    ),
  ];
}

function addSet({ name, type, dynamic, timeoutS, size }: DataSet, { dynamicFlag }: Dialect): Json {
  const flags = dynamic && dynamicFlag ? ['timeout', 'dynamic'] : ['timeout'];
  const kept = timeoutS === null ? {} : { timeout: timeoutS };
  const counting = dynamic ? { stmt: [{ counter: null }] } : {};
  return { add: { set: { family: FAMILY, table: TABLE, name, type, flags, size, ...kept, ...counting } } };
}

function addChain({ name, hook }: Chain): Json {
  return { add: { chain: { family: FAMILY, table: TABLE, name, ...baseFields(hook) } } };
}

/** Of a name's set: what is missing is added, what nobody learned is taken out, the rest keeps its time. */
function elementsOf({ name, meaning }: DataSet, listed: Listing | null, names: Names): Json[] {
  if (meaning.kind !== 'name') return [];
  const wanted = ofFamily(names.get(meaning.host) ?? new Map(), meaning.family);
  const there = new Set(
    listed?.sets
      .get(name)
      ?.elements.map(({ key }) => canonicalAddress(String(key[0]))?.address ?? String(key[0])) ?? [],
  );
  const missing = wanted.filter(([address]) => !there.has(address));
  const strange = [...there].filter((address) => !wanted.some(([known]) => known === address));
  return [
    ...(strange.length > 0 ? [{ delete: element(name, strange) }] : []),
    ...(missing.length > 0 ? [{ add: timed(name, missing) }] : []),
  ];
}

function ofFamily(addresses: ReadonlyMap<string, number>, family: 4 | 6): [string, number][] {
  return [...addresses].filter(([address]) => address.includes(':') === (family === 6)).sort();
}

function timed(set: string, elements: readonly [string, number][]): Json {
  return element(
    set,
    elements.map(([val, timeout]) => ({ elem: { val, timeout } })),
  );
}

function element(set: string, elem: readonly Json[]): Json {
  return { element: { family: FAMILY, table: TABLE, name: set, elem } };
}
