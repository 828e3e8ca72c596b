/** What `nft -j list table` gave, sorted by kind; everything is still as nft wrote it. */
export type Listing = {
  /** Properties of the table beyond its identity, as `flags` of one that is dormant. */
  table: Fields;
  chains: ReadonlyMap<string, Fields>;
  rules: ReadonlyMap<string, readonly Fields[]>;
  sets: ReadonlyMap<string, ListedSet>;
  counters: ReadonlyMap<string, number>;
  /** Of any other kind. */
  others: readonly { kind: string; name: string }[];
};
export type Fields = Readonly<Record<string, unknown>>;
export type ListedSet = { fields: Fields; elements: readonly Element[] };
/** `key` is as nft wrote it: an address, or protocol, address and port. */
export type Element = { key: readonly (string | number)[]; expiresS: number | null; packets: number };

/** Null when there is no table in it. Throws where it is no listing at all. */
export function readListing(text: string): Listing | null {
  const parsed: unknown = JSON.parse(text);
  const objects = isFields(parsed) && Array.isArray(parsed.nftables) ? parsed.nftables : null;
  if (objects === null) throw new Error('this is not a listing of nft');
  let table: Fields | null = null;
  const chains = new Map<string, Fields>();
  const rules = new Map<string, Fields[]>();
  const sets = new Map<string, ListedSet>();
  const counters = new Map<string, number>();
  const others: { kind: string; name: string }[] = [];
  for (const object of objects) {
    const [kind = '', fields] = isFields(object) ? (Object.entries(object)[0] ?? []) : [];
    if (!isFields(fields) || kind === 'metainfo') continue;
    const name = String(fields.name ?? '');
    if (kind === 'table') table = without(fields, ['family', 'name', 'handle']);
    else if (kind === 'chain') chains.set(name, own(fields));
    else if (kind === 'rule') append(rules, String(fields.chain), ofRule(fields));
    else if (kind === 'set') sets.set(name, readSet(fields));
    else if (kind === 'counter') counters.set(name, Number(fields.packets ?? 0));
    else others.push({ kind, name });
  }
  return table === null ? null : { table, chains, rules, sets, counters, others };
}

export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function readSet(fields: Fields): ListedSet {
  const listed = Array.isArray(fields.elem) ? fields.elem : [];
  return { fields: without(own(fields), ['elem']), elements: listed.map(readElement) };
}

function readElement(listed: unknown): Element {
  const wrapped = isFields(listed) && isFields(listed.elem) ? listed.elem : null;
  const value = wrapped === null ? listed : wrapped.val;
  const parts = isFields(value) && Array.isArray(value.concat) ? value.concat : [value];
  const expires = wrapped?.expires;
  const counter = wrapped?.counter;
  return {
    key: parts.map((part) =>
      typeof part === 'number' ? part : typeof part === 'string' ? part : JSON.stringify(part),
    ),
    expiresS: typeof expires === 'number' ? expires : null,
    packets: isFields(counter) ? Number(counter.packets ?? 0) : 0,
  };
}

function own(fields: Fields): Fields {
  return without(fields, ['family', 'table', 'name', 'handle', 'index']);
}

function without(fields: Fields, keys: readonly string[]): Fields {
  return Object.fromEntries(Object.entries(fields).filter(([key]) => !keys.includes(key)));
}

/** There are many rules: this is worth doing without a list of keys. */
function ofRule({ family: _f, table: _t, chain: _c, handle: _h, index: _i, ...others }: Fields): Fields {
  return others;
}

function append(rules: Map<string, Fields[]>, chain: string, rule: Fields): void {
  const before = rules.get(chain);
  if (before === undefined) rules.set(chain, [rule]);
  else before.push(rule);
}
