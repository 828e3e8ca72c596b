import type { Wanted } from '../../core/ports/enforcer.ts';

const spec = {
  workloads: '',
  egress: [
    {
      name: 'a',
      to: [
        'https://name.example',
        { cidr: '192.0.2.0/24', except: ['192.0.2.8/32'], ports: ['443/TCP', '8000-8100/UDP'] },
        { cidr: '2001:db8::/32', ports: ['53/UDP'] },
      ],
    },
  ],
};
const policy = { kind: 'Allowlist', generation: 1, digest: '' } as const;

/** Uses every feature that a policy can need, to ask nft and the kernel whether they have them. Never put in force. */
export const SPECIMEN: Wanted = {
  revision: 1,
  workloads: [
    { name: 'user', labels: { is: 'user' }, binding: { kind: 'user', uid: 1 } },
    { name: 'interface', labels: { is: 'interface' }, binding: { kind: 'interface', name: 'plumbline0' } },
  ],
  policies: [
    { ...policy, name: 'enforced', mode: 'enforce', spec },
    { ...policy, name: 'audited', mode: 'audit', spec },
    {
      ...policy,
      name: 'ingress',
      mode: 'enforce',
      spec: {
        workloads: 'is=interface',
        ingress: [{ name: 'b', from: [{ cidr: '192.0.2.0/24', ports: ['80/TCP'] }] }],
      },
    },
  ],
  names: new Map([['name.example', ['192.0.2.1', '2001:db8::1']]]),
  exempt: { uid: 0, endpoints: [{ address: '192.0.2.1', port: 443, protocol: 'TCP' }] },
  probePorts: { from: 61_000, to: 61_015 },
};
