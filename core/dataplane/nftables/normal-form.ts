import { canonicalJson } from '../../policy/digest.ts';
import {
  formatAddress,
  type Network,
  networkOf,
  parseAddress,
  parsePrefix,
  width,
} from '../../policy/network.ts';
import { type Fields, isFields } from './listing.ts';

/*
 * nft does not give a rule back as it was written: ranges that touch are joined, a match that a later one implies is left
 * out, flags have names. Both the rule wanted and the rule listed are brought to one form, in which equal means the same.
 */

const TCP_FLAGS = ['fin', 'syn', 'rst', 'psh', 'ack', 'urg', 'ecn', 'cwr'];

/** The statements of a rule in normal form, one canonical text each. */
export function normalRule(expr: unknown): string[] {
  const statements = Array.isArray(expr) ? expr : [expr];
  return statements
    .filter((statement, i) => !isImplied(statement, statements.slice(i + 1)))
    .map((statement) => canonicalJson(normalStatement(statement)));
}

function normalStatement(statement: unknown): unknown {
  if (!isFields(statement)) return statement;
  const { match } = statement;
  if (!isFields(match)) return statement;
  const { left, right } = match;
  const others = Object.keys(statement).length === 1 ? {} : { others: statement };
  const field = payloadField(left);
  if (field === 'tcp.flags')
    return { ...others, match: { ...match, ...maskOf(left), right: flagsOf(right) } };
  const values = valuesOf(right);
  const intervals = field === null ? null : intervalsOf(values);
  if (intervals !== null) return { ...others, match: { ...match, right: { intervals } } };
  return { ...others, match: { ...match, right: values.map((value) => canonicalJson(value)).sort() } };
}

/** Matches that nft adds for those that need them, and does not print. */
function isImplied(statement: unknown, later: readonly unknown[]): boolean {
  const match = isFields(statement) && isFields(statement.match) ? statement.match : null;
  if (match === null || match.op !== '==') return false;
  const left = isFields(match.left) && isFields(match.left.meta) ? match.left.meta.key : null;
  const texts = later.map((item) => JSON.stringify(item));
  const mentions = (protocol: string) => texts.some((text) => text.includes(`{"protocol":"${protocol}",`));
  if (left === 'nfproto') return mentions(match.right === 'ipv4' ? 'ip' : 'ip6');
  if (left !== 'l4proto') return false;
  if (match.right === 'tcp' && texts.includes('{"reject":{"type":"tcp reset"}}')) return true;
  return (match.right === 'tcp' || match.right === 'udp') && mentions(match.right);
}

function payloadField(left: unknown): string | null {
  if (!isFields(left)) return null;
  const masked = left['&'];
  const payload = Array.isArray(masked) && isFields(masked[0]) ? masked[0].payload : left.payload;
  return isFields(payload) ? `${String(payload.protocol)}.${String(payload.field)}` : null;
}

function maskOf(left: unknown): Fields {
  const masked = isFields(left) && Array.isArray(left['&']) ? left['&'] : null;
  return masked === null ? { left } : { left: { '&': [masked[0], flagsOf(masked[1])] } };
}

function flagsOf(value: unknown): unknown {
  const names =
    isFields(value) && Array.isArray(value['|']) ? value['|'] : Array.isArray(value) ? value : [value];
  const bits = names.map((name) => (typeof name === 'number' ? name : 1 << TCP_FLAGS.indexOf(String(name))));
  return bits.every((bit) => bit > 0) ? bits.reduce<number>((all, bit) => all | bit, 0) : value;
}

function valuesOf(right: unknown): unknown[] {
  if (Array.isArray(right)) return right;
  return isFields(right) && Array.isArray(right.set) ? right.set : [right];
}

/** Numbers and addresses as the fewest intervals that hold just them; null when something else is among them. */
function intervalsOf(values: readonly unknown[]): string[] | null {
  const found: Interval[] = [];
  for (const value of values) {
    const interval = intervalOf(value);
    if (interval === null) return null;
    found.push(interval);
  }
  const result: Interval[] = [];
  for (const interval of found.sort((a, b) => (a.from < b.from ? -1 : a.from > b.from ? 1 : 0))) {
    const last = result.at(-1);
    if (last === undefined || last.family !== interval.family || interval.from > last.to + 1n)
      result.push(interval);
    else if (interval.to > last.to) last.to = interval.to;
  }
  return result.map(({ family, from, to }) => {
    if (family === null) return from === to ? `${from}` : `${from}-${to}`;
    const [first, last] = [formatAddress({ family, value: from }), formatAddress({ family, value: to })];
    return first === last ? first : `${first}-${last}`;
  });
}

type Interval = { family: 4 | 6 | null; from: bigint; to: bigint };

function intervalOf(value: unknown): Interval | null {
  if (typeof value === 'number') return { family: null, from: BigInt(value), to: BigInt(value) };
  if (typeof value === 'string') {
    const address = parseAddress(value);
    return address === null ? null : { family: address.family, from: address.value, to: address.value };
  }
  if (!isFields(value)) return null;
  const { range, prefix } = value;
  if (isFields(prefix)) return ofNetwork(parsePrefix(`${String(prefix.addr)}/${String(prefix.len)}`));
  if (!Array.isArray(range) || range.length !== 2) return null;
  const [from, to] = [intervalOf(range[0]), intervalOf(range[1])];
  return from === null || to === null || from.family !== to.family ? null : { ...from, to: to.to };
}

function ofNetwork(prefix: Network | null): Interval | null {
  if (prefix === null) return null;
  const { family, value, length } = networkOf(prefix);
  return { family, from: value, to: value + (1n << BigInt(width(family) - length)) - 1n };
}
