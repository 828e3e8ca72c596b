import fc from 'fast-check';
import { expect, test } from 'vitest';
import { normalRule } from '../../../../core/dataplane/nftables/normal-form.ts';

const payload = (protocol: string, field: string) => ({ payload: { protocol, field } });
const ports = (right: unknown) => [{ match: { op: '==', left: payload('tcp', 'dport'), right } }];
const addresses = (right: unknown) => [{ match: { op: '==', left: payload('ip', 'daddr'), right } }];
const meta = (key: string, right: unknown) => ({ match: { op: '==', left: { meta: { key } }, right } });
const range = (from: number | string, to: number | string) => ({ range: [from, to] });
const set = (...values: unknown[]) => ({ set: values });
const go = { goto: { target: 'x' } };
const flags = (mask: unknown, right: unknown) => [
  { match: { op: '!=', left: { '&': [payload('tcp', 'flags'), mask] }, right } },
];

test.each([
  ['ranges that touch', ports(set(80, 81, range(82, 90))), ports(range(80, 90))],
  ['a range within another', ports(set(range(1, 100), range(5, 6))), ports(range(1, 100))],
  ['the order of a set', ports(set(443, 80)), ports(set(80, 443))],
  ['a set of one', ports(set(80)), ports(80)],
  [
    'halves of a network',
    addresses(set({ prefix: { addr: '10.0.0.0', len: 9 } }, range('10.128.0.0', '10.255.255.255'))),
    addresses({ prefix: { addr: '10.0.0.0', len: 8 } }),
  ],
  ['a network of one address', addresses({ prefix: { addr: '10.0.0.1', len: 32 } }), addresses('10.0.0.1')],
  ['names of flags', flags(['fin', 'syn', 'rst', 'ack'], 'syn'), flags(0x17, 2)],
  ['flags in another grouping', flags({ '|': ['ack', 'rst', 'syn', 'fin'] }, 'syn'), flags(0x17, 2)],
  [
    'a family that the address implies',
    [meta('nfproto', 'ipv4'), ...addresses('10.0.0.1')],
    addresses('10.0.0.1'),
  ],
  ['a protocol that the port implies', [meta('l4proto', 'tcp'), ...ports(80)], ports(80)],
  [
    'a protocol that the reset implies',
    [meta('l4proto', 'tcp'), { reject: { type: 'tcp reset' } }],
    [{ reject: { type: 'tcp reset' } }],
  ],
])('%s: no difference', (_what, a, b) => {
  expect(normalRule(a)).toEqual(normalRule(b));
});

test.each([
  ['a wider range', ports(range(80, 90)), ports(range(80, 91))],
  ['a gap', ports(set(range(80, 84), range(86, 90))), ports(range(80, 90))],
  ['another operator', [{ match: { op: '!=', left: payload('tcp', 'dport'), right: 80 } }], ports(80)],
  ['another set', addresses('@a'), addresses('@b')],
  ['another flag', flags(0x17, 2), flags(0x17, 'ack')],
  ['another mask', flags(0x17, 2), flags(0x16, 2)],
  [
    'a family that nothing implies',
    [meta('nfproto', 'ipv6'), ...addresses('10.0.0.1')],
    addresses('10.0.0.1'),
  ],
  ['a protocol that nothing implies', [meta('l4proto', 'udp'), ...ports(80)], ports(80)],
  ['a protocol on its own', [meta('l4proto', 'tcp'), go], [go]],
  ['a match more', [...ports(80), ...addresses('10.0.0.1'), go], [...ports(80), go]],
  ['another order', [{ counter: 'c' }, { return: null }], [{ return: null }, { counter: 'c' }]],
])('%s: a difference', (_what, a, b) => {
  expect(normalRule(a)).not.toEqual(normalRule(b));
});

test('two sets of ports have one form exactly when they hold the same ports', () => {
  const interval = fc
    .tuple(fc.nat(30), fc.nat(30))
    .map(([a, b]) => [Math.min(a, b), Math.max(a, b)] as const);
  const several = fc.array(interval, { minLength: 1, maxLength: 5 });
  const held = (list: readonly (readonly [number, number])[]) =>
    Array.from({ length: 31 }, (_, port) => list.some(([from, to]) => from <= port && port <= to)).join();
  const form = (list: readonly (readonly [number, number])[]) =>
    normalRule(ports(set(...list.map(([from, to]) => (from === to ? from : range(from, to))))));
  fc.assert(
    fc.property(several, several, (a, b) => {
      expect(JSON.stringify(form(a)) === JSON.stringify(form(b))).toBe(held(a) === held(b));
    }),
  );
});
