import { expect, test } from 'vitest';
import { invitationNote, reachableName } from '../../api/entrance.ts';

const address = (family: 'IPv4' | 'IPv6', at: string, internal = false) => {
  const common = { address: at, netmask: '', mac: '', internal, cidr: null };
  return family === 'IPv4' ? { ...common, family } : { ...common, family, scopeid: 0 };
};
const lo = [address('IPv4', '127.0.0.1', true), address('IPv6', '::1', true)];
const eth = [address('IPv6', 'fe80::1'), address('IPv6', '2001:db8::7'), address('IPv4', '192.0.2.7')];

test.each([
  ['0.0.0.0', { lo, eth }, '192.0.2.7'],
  ['::', { lo, eth }, '192.0.2.7'],
  ['::', { lo, eth: eth.slice(0, 2) }, '[2001:db8::7]'],
  ['0.0.0.0', { lo, eth: eth.slice(0, 2) }, 'hub-machine'],
  ['::', { lo }, 'hub-machine'],
  ['127.0.0.1', { lo, eth }, '127.0.0.1'],
  ['::1', { lo, eth }, '[::1]'],
  ['hub.example', { lo, eth }, 'hub.example'],
])('a hub that listens at %s with %j is reached at %s', (host, interfaces, expected) => {
  expect(reachableName(host, { interfaces, hostname: 'hub-machine' })).toBe(expected);
});

test('an invitation to loopback says that it is for this machine only, and how to invite others', () => {
  for (const url of ['http://127.0.0.1:7117', 'http://[::1]:7117', 'http://localhost:7117'])
    expect(invitationNote(url)).toMatch(/only works on this very machine.*--listen.*--public-url/);
  expect(invitationNote('https://192.0.2.7:7117')).toBeUndefined();
});
