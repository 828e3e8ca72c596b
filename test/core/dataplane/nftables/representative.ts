import type { EnforcedPolicy, Wanted } from '../../../../core/ports/enforcer.ts';

const digest = 'd'.repeat(43);
const payments: EnforcedPolicy = {
  kind: 'Allowlist',
  name: 'payments',
  generation: 3,
  digest,
  mode: 'enforce',
  spec: {
    workloads: { matchLabels: { app: 'checkout' } },
    egress: [
      {
        name: 'payments-api',
        to: [
          'https://api.payments.example',
          {
            cidr: '203.0.113.0/24',
            except: ['203.0.113.8/32'],
            ports: ['443/TCP', '444/TCP', '8000-8100/UDP'],
          },
        ],
      },
      {
        name: 'log',
        to: [{ host: 'log.example', ports: ['514/UDP', '6514/TCP'] }, 'tcp://[2001:db8::7]:6514'],
      },
      { name: 'time', to: ['udp://192.0.2.123:123'] },
    ],
  },
};
const trial: EnforcedPolicy = {
  ...payments,
  name: 'trial',
  generation: 1,
  mode: 'audit',
  spec: { workloads: '', egress: [{ name: 'log', to: ['tcp://log.example:6514'] }] },
};
const inward: EnforcedPolicy = {
  ...payments,
  name: 'inward',
  generation: 1,
  spec: {
    workloads: 'app=cache',
    ingress: [
      {
        name: 'clients',
        from: [
          { cidr: '10.0.0.0/8', ports: ['6379/TCP'] },
          { cidr: 'fd00::/8', ports: ['6379/TCP'] },
        ],
      },
    ],
  },
};

/** One of everything: a user and an interface, enforcement and audit, egress and ingress, names and networks of both families. */
export const representative: Wanted = {
  revision: 7,
  workloads: [
    { name: 'checkout', labels: { app: 'checkout' }, binding: { kind: 'user', uid: 30_001 } },
    { name: 'cache', labels: { app: 'cache' }, binding: { kind: 'interface', name: 'veth-cache' } },
  ],
  policies: [payments, trial, inward],
  names: new Map([
    ['api.payments.example', ['198.51.100.7', '2001:db8::443']],
    ['log.example', ['198.51.100.9']],
  ]),
  exempt: {
    uid: 990,
    endpoints: [
      { address: '198.51.100.1', port: 7117, protocol: 'TCP' },
      { address: '2001:DB8:0::53', port: 53, protocol: 'UDP' },
    ],
  },
  probePorts: { from: 61_000, to: 61_015 },
};

/** The addresses of `representative.names`, each with `value`. */
export function everyName<T>(value: T): Map<string, Map<string, T>> {
  return new Map(
    [...representative.names].map(([host, addresses]) => [
      host,
      new Map(addresses.map((one) => [one, value])),
    ]),
  );
}
