import { ALLOWED_BIT, AUDITED_BIT, type Direction, nameSet } from './identifiers.ts';
import type { Line } from './lines.ts';

/* Statements of libnftables-json(5), as rules are put together from them. */

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };
export type Statement = { readonly [key: string]: Json };

const MARK = { meta: { key: 'mark' } };
const UINT32 = 0xffffffff;

export const accountable: Statement = equals({ meta: { key: 'l4proto' } }, { set: ['tcp', 'udp'] });
export const established: Statement = {
  match: { op: 'in', left: { ct: { key: 'state' } }, right: ['established', 'related'] },
};
/** A packet of a connection whose first one is gone already, though no answer has come. */
export const underWay: Statement = {
  match: { op: 'in', left: { ct: { key: 'status' } }, right: 'confirmed' },
};
/** TCP that does not begin a connection: of FIN, SYN, RST and ACK another set than SYN alone. As numbers, which nft 1.0.6 needs. */
export const notFirst: Statement = {
  match: { op: '!=', left: { '&': [{ payload: { protocol: 'tcp', field: 'flags' } }, 0x17] }, right: 0x02 },
};
export const neighbourDiscovery: Statement = equals(
  { payload: { protocol: 'icmpv6', field: 'type' } },
  { set: ['nd-router-solicit', 'nd-router-advert', 'nd-neighbor-solicit', 'nd-neighbor-advert'] },
);
export const leave: Statement = { return: null };
export const clearBits: Statement = mangle({ '&': [MARK, UINT32 - ALLOWED_BIT - AUDITED_BIT] });
export const clearAudited: Statement = mangle({ '&': [MARK, UINT32 - AUDITED_BIT] });
/** One rule each: the second is for what has no connections to reset. */
export const refusals: readonly Statement[][] = [
  [equals({ meta: { key: 'l4proto' } }, 'tcp'), { reject: { type: 'tcp reset' } }],
  [{ reject: { type: 'icmpx', expr: 'admin-prohibited' } }],
];

export function setBit(bit: number): Statement {
  return mangle({ '|': [MARK, bit] });
}
export function noneOf(bits: number): Statement {
  return equals({ '&': [MARK, bits] }, 0);
}
export function jump(target: string): Statement {
  return { jump: { target } };
}
export function goTo(target: string): Statement {
  return { goto: { target } };
}
export function count(counter: string): Statement {
  return { counter };
}
export function fromPort({ from, to }: { from: number; to: number }): Statement {
  return equals({ payload: { protocol: 'th', field: 'sport' } }, { range: [from, to] });
}
export function meta(key: 'skuid' | 'iifname' | 'oifname', value: string | number): Statement {
  return equals({ meta: { key } }, value);
}

/** Remembers the far end's address and the near or far end's port that the connection goes to. */
export function remember(set: string, direction: Direction, family: 4 | 6): Statement {
  const elem = { concat: [{ meta: { key: 'l4proto' } }, farEnd(direction, family), port('th')] };
  return { set: { op: 'update', elem, set: `@${set}` } };
}

export function matching({ reach, protocol, ports }: Line, direction: Direction): Statement[] {
  const far = farEnd(direction, reach.family);
  const right: Json =
    'name' in reach ? `@${nameSet(reach.name, reach.family)}` : oneOf(reach.networks.map(prefix));
  return [equals(far, right), equals(port(protocol), oneOf(ports.map(range)))];
}

export function toEndpoint(address: string, family: 4 | 6, protocol: 'tcp' | 'udp', to: number): Statement[] {
  return [equals(farEnd('egress', family), address), equals(port(protocol), to)];
}

function prefix(network: string): Json {
  const [addr = '', len = ''] = network.split('/');
  return { prefix: { addr, len: Number(len) } };
}

function range({ from, to }: { from: number; to: number }): Json {
  return from === to ? from : { range: [from, to] };
}

function oneOf(values: readonly Json[]): Json {
  const [only] = values;
  return values.length === 1 && only !== undefined ? only : { set: values };
}

function farEnd(direction: Direction, family: 4 | 6): Json {
  return {
    payload: { protocol: family === 4 ? 'ip' : 'ip6', field: direction === 'egress' ? 'daddr' : 'saddr' },
  };
}

function port(protocol: 'tcp' | 'udp' | 'th'): Json {
  return { payload: { protocol, field: 'dport' } };
}

function equals(left: Json, right: Json): Statement {
  return { match: { op: '==', left, right } };
}

function mangle(value: Json): Statement {
  return { mangle: { key: MARK, value } };
}
