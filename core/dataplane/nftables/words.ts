import { type Fields, isFields } from './listing.ts';
import { type Model, setMeaning } from './model.ts';

/** What an identifier stands for, for people. */
export type Meanings = ReadonlyMap<string, string>;

export function meanings({ chains, sets, counters }: Model): Meanings {
  return new Map([
    ...chains.map(({ name, meaning }) => [name, meaning] as const),
    ...sets.map(({ name, meaning }) => [name, setMeaning(meaning)] as const),
    ...counters.map(({ name, meaning }) => [name, meaning] as const),
  ]);
}

/** A rule much as `nft list` prints it, with meanings in the place of identifiers. */
export function ruleText(expr: unknown, known: Meanings): string {
  return (Array.isArray(expr) ? expr : [expr]).map((statement) => statementText(statement, known)).join(' ');
}

function statementText(statement: unknown, known: Meanings): string {
  const [key = '', value] = isFields(statement) ? (Object.entries(statement)[0] ?? []) : [];
  if (isFields(value)) {
    if (key === 'match') return matchText(value, known);
    if (key === 'jump' || key === 'goto') return `${key} ${named(value.target, known)}`;
    if (key === 'set') return `update ${named(value.set, known)} { ${valueText(value.elem, known)} }`;
    if (key === 'reject') return `reject with ${[value.type, value.expr].filter(Boolean).join(' ')}`;
    if (key === 'mangle') return `${valueText(value.key, known)} set ${valueText(value.value, known)}`;
  }
  if (key === 'counter') return typeof value === 'string' ? `counter ${named(value, known)}` : 'counter';
  if (value === null) return key;
  return JSON.stringify(statement);
}

function matchText({ op, left, right }: Fields, known: Meanings): string {
  const operator = op === '==' || op === 'in' ? '' : `${String(op)} `;
  return `${valueText(left, known)} ${operator}${valueText(right, known)}`;
}

function valueText(value: unknown, known: Meanings): string {
  if (typeof value === 'string' || typeof value === 'number') return named(value, known);
  if (Array.isArray(value)) return value.map((item) => valueText(item, known)).join(',');
  if (!isFields(value)) return JSON.stringify(value);
  const { set, range, prefix, payload, meta, ct, concat } = value;
  if (Array.isArray(set)) return `{ ${set.map((item) => valueText(item, known)).join(', ')} }`;
  if (Array.isArray(range)) return range.map((item) => valueText(item, known)).join('-');
  if (Array.isArray(concat)) return concat.map((item) => valueText(item, known)).join(' . ');
  if (isFields(prefix)) return `${String(prefix.addr)}/${String(prefix.len)}`;
  if (isFields(payload)) return `${String(payload.protocol)} ${String(payload.field)}`;
  if (isFields(meta)) return `meta ${String(meta.key)}`;
  if (isFields(ct)) return `ct ${String(ct.key)}`;
  const [operator = '', operands] = Object.entries(value)[0] ?? [];
  if (!Array.isArray(operands)) return JSON.stringify(value);
  return operands
    .map((item) => (typeof item === 'number' ? `0x${item.toString(16)}` : valueText(item, known)))
    .join(` ${operator} `);
}

function named(value: unknown, known: Meanings): string {
  const text = String(value);
  const isSet = text.startsWith('@');
  const meaning = known.get(isSet ? text.slice(1) : text);
  return meaning === undefined ? text : isSet ? `@"${meaning}"` : `"${meaning}"`;
}
