import { expect, test } from 'vitest';
import { compileFaults } from '../../../../core/dataplane/nftables/faults.ts';
import type { AllowlistSpec } from '../../../../core/model/allowlist.ts';
import type { EnforcedPolicy, Workload } from '../../../../core/ports/enforcer.ts';
import { representative } from './representative.ts';

const user: Workload = { name: 'shop', labels: { app: 'shop' }, binding: { kind: 'user', uid: 30_001 } };
const bridge: Workload = { name: 'vm', labels: { app: 'vm' }, binding: { kind: 'interface', name: 'veth0' } };
const policy = (spec: AllowlistSpec): EnforcedPolicy => ({
  kind: 'Allowlist',
  name: 'p',
  generation: 1,
  digest: '',
  mode: 'enforce',
  spec,
});
const from = [{ cidr: '10.0.0.0/8', ports: ['80/TCP'] }];

test('nothing is wrong with the representative site', () => {
  expect(compileFaults(representative.policies, representative.workloads)).toEqual([]);
});

test('ingress of a user is refused by name, of an interface it is fine', () => {
  const ingress = policy({ workloads: '', ingress: [{ name: 'in', from }] });
  expect(compileFaults([ingress], [user, bridge])).toEqual([
    {
      policy: 'p',
      at: '/ingress',
      reason: expect.stringContaining('workload shop is a user'),
      remedy: expect.stringContaining('interface'),
    },
  ]);
  expect(compileFaults([ingress], [bridge])).toEqual([]);
  expect(compileFaults([policy({ workloads: 'app=vm', ingress: [] })], [user, bridge])).toEqual([]);
});

test('what can not be read, told apart or bound is named with its place', () => {
  const at = (spec: AllowlistSpec) => compileFaults([policy(spec)], [bridge]).map((fault) => fault.at);
  expect(at({ workloads: 'app in', egress: [] })).toEqual(['/workloads']);
  expect(
    at({ workloads: '', egress: [{ name: 'a', to: ['https://x.example', 'https://x.example/path'] }] }),
  ).toEqual(['/egress/0/to/1']);
  expect(
    at({ workloads: '', egress: [{ name: 'a', to: [{ cidr: '10.0.0.1/8', ports: ['1/TCP'] }] }] }),
  ).toEqual(['/egress/0/to/0/cidr']);
  expect(
    at({ workloads: '', egress: [{ name: 'a', to: ['https://x.example'] }], ingress: [{ name: 'a', from }] }),
  ).toEqual(['/ingress/0/name']);
});

test('workloads have names, users and interfaces of their own, which exist as such', () => {
  const reasons = (...workloads: Workload[]) => compileFaults([], workloads).map(({ reason }) => reason);
  expect(reasons(user, { ...bridge, name: 'shop' })).toEqual(['two workloads are called shop']);
  expect(reasons(user, { ...user, name: 'other' })).toEqual([
    'workloads shop and other are both bound to user 30001',
  ]);
  expect(reasons({ ...user, binding: { kind: 'user', uid: -1 } })).toEqual(['-1 is not a user id']);
  expect(reasons({ ...user, binding: { kind: 'user', uid: 2 ** 32 - 1 } })).toEqual([
    '4294967295 is not a user id',
  ]);
  expect(reasons({ ...bridge, binding: { kind: 'interface', name: 'eth*' } })).toEqual([
    '"eth*" is not the name of an interface',
  ]);
});
