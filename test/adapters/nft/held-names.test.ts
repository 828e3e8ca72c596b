import { expect, test } from 'vitest';
import { heldFor, keepsOf, knownOf, toLearn } from '../../../adapters/nft/held-names.ts';
import { compile, NAME_KEEP_S } from '../../../core/dataplane/nftables/compile.ts';
import { nameSet } from '../../../core/dataplane/nftables/identifiers.ts';
import { readListing } from '../../../core/dataplane/nftables/listing.ts';
import { policy, wanted } from './world.ts';

const model = compile(wanted([policy('p', [{ name: 'r', to: ['https://a.example', 'https://b.example'] }])]));
const held = (addresses: Record<string, number>) =>
  new Map([['a.example', new Map(Object.entries(addresses))]]);
const plain = (names: ReadonlyMap<string, ReadonlyMap<string, unknown>>) =>
  Object.fromEntries([...names].map(([host, addresses]) => [host, Object.fromEntries(addresses)]));

test('known addresses keep their time, new ones get a day, those that ran out and other names go', () => {
  const before = new Map([
    ...held({ '192.0.2.1': 5000, '192.0.2.2': 900 }),
    ['c.example', new Map([['192.0.2.9', 9e9]])],
  ]);
  const given = new Map([
    ['a.example', ['192.0.2.1', '2001:DB8::1', 'nonsense']],
    ['c.example', ['192.0.2.9']],
  ]);
  const now = heldFor(model, before, given, null, 1000);
  const day = 1000 + NAME_KEEP_S * 1000;
  expect(plain(now)).toEqual({ 'a.example': { '192.0.2.1': 5000, '2001:db8::1': day }, 'b.example': {} });
  expect(plain(keepsOf(now, 1000))).toEqual({
    'a.example': { '192.0.2.1': 4, '2001:db8::1': NAME_KEEP_S },
    'b.example': {},
  });
});

test('of what is in the table already, what was looked up keeps the time that it has there, and nothing else stays', () => {
  const elem = [{ elem: { val: '192.0.2.7', timeout: 60, expires: 30 } }, '192.0.2.8', '203.0.113.66'];
  const set = { family: 'inet', table: 'plumbline', name: nameSet('b.example', 4), type: 'ipv4_addr', elem };
  const left = readListing(
    JSON.stringify({ nftables: [{ table: { family: 'inet', name: 'plumbline' } }, { set }] }),
  );
  const lookedUp = new Map([['b.example', ['192.0.2.7', '192.0.2.8']]]);
  expect(plain(heldFor(model, new Map(), lookedUp, left, 0))['b.example']).toEqual({
    '192.0.2.7': 30_000,
    '192.0.2.8': NAME_KEEP_S * 1000,
  });
});

test('only what is new or a tenth of whose time is over is stored again', () => {
  const addresses = held({ '192.0.2.1': 100_000, '192.0.2.2': 89_000 }).get('a.example') ?? new Map();
  const found = ['192.0.2.1', '192.0.2.2', '192.0.2.3', 'nonsense'];
  const { addresses: learned, evicted } = toLearn(addresses, found, 100, 0);
  expect([[...learned], evicted]).toEqual([
    [
      ['192.0.2.2', 100],
      ['192.0.2.3', 100],
    ],
    [],
  ]);
});

test('in a set that is full, what was not seen for longest makes room; the other family has its own', () => {
  const many = new Map(Array.from({ length: 1024 }, (_, i) => [`10.0.${i >> 8}.${i & 255}`, 2000 - i]));
  const found = toLearn(many, ['192.0.2.1', '10.0.3.254', '2001:db8::1'], 100, 0);
  expect([...found.addresses.keys()]).toEqual(['192.0.2.1', '10.0.3.254', '2001:db8::1']);
  expect(found.evicted).toEqual(['10.0.3.255']);
  const more = Array.from({ length: 1030 }, (_, i) => `10.9.${i >> 8}.${i & 255}`);
  const flood = toLearn(many, more, 100, 0);
  expect([flood.addresses.size, flood.evicted.length]).toEqual([1024, 1024]);
  expect(toLearn(many, ['192.0.2.1'], 100, 1500).evicted).toEqual([]);
});

test('around the moment when an address runs out it is neither missed nor strange', () => {
  const names = held({ '192.0.2.1': 10_000 });
  const state = (nowMs: number) => knownOf(names, nowMs).get('a.example')?.get('192.0.2.1');
  expect([4000, 6000, 14_000, 16_000].map(state)).toEqual(['sure', 'fading', 'fading', undefined]);
});
