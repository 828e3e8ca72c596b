/** A real hub with three sites, two of `test` and one of `prod`, on which a policy can be tried. */
import { encodeReportFrame } from '../../core/channel.ts';
import type { PolicyReport, PolicyStatus } from '../../core/model/policy-report.ts';
import type { PolicyHits, RolloutPage } from '../../core/model/policy-view.ts';
import type { Report } from '../../core/model/report.ts';
import { keyFrom, seal } from '../../core/seal.ts';
import { until } from '../parts/process.ts';
import { FIRST_BOOT, report } from '../parts/report.ts';
import { type Door, openDoor } from './door.ts';

export const virtualSite = (name: string, spec: object) => ({
  apiVersion: 'plumbline.io/v1',
  kind: 'VirtualSite',
  metadata: { name },
  spec,
});
export const payments = (change: object = {}) => ({
  apiVersion: 'plumbline.io/v1',
  kind: 'Allowlist',
  metadata: { name: 'payments' },
  spec: {
    workloads: { matchLabels: { app: 'checkout' } },
    egress: [{ name: 'payments-api', to: ['https://api.payments.example'] }],
    ...change,
  },
  rollout: { stages: [{ virtualSite: 'test', verify: { soak: '1h' } }, { virtualSite: 'prod' }] },
});

const WORKLOADS: PolicyReport['workloads'] = [
  { name: 'checkout', binding: 'user', labels: { app: 'checkout' } },
];
function status(change: Partial<PolicyStatus> = {}): PolicyStatus {
  return {
    kind: 'Allowlist',
    name: 'payments',
    seen: { epoch: 1, n: 1 },
    generation: 1,
    digest: 'd',
    mode: 'enforce',
    phase: 'applied',
    live: true,
    deliveredAtMs: 1000,
    appliedAtMs: 2000,
    confirmedAtMs: 3000,
    firstHitAtMs: 4000,
    counterEpoch: 1,
    workloads: 1,
    rules: [{ rule: 'payments-api', hits: 7, probeHits: 2 }],
    denies: 3,
    probeDenies: 0,
    unexpectedDenies: 2,
    denied: [
      {
        workload: 'checkout',
        direction: 'egress',
        address: '198.51.100.7',
        name: 'fraud.example',
        port: 443,
        protocol: 'TCP',
        count: 2,
        kind: 'unexpected',
      },
      {
        workload: 'checkout',
        direction: 'egress',
        address: '192.0.2.80',
        port: 80,
        protocol: 'TCP',
        count: 50,
        kind: 'new',
      },
    ],
    fullSets: 0,
    probes: [],
    established: { total: 0, some: [] },
    ...change,
  };
}

/** A site's report of now, with what it says of policy. */
function saying(site: string, seq: number, policy: Partial<PolicyReport>): Report {
  return report({
    site,
    seq,
    ts: Date.now(),
    held: { boot: FIRST_BOOT, seq },
    policy: {
      enforcement: 'on',
      labelsSeen: null,
      dataplane: 'nftables',
      workloads: WORKLOADS,
      policies: [],
      flows: [],
      flowsLeftOut: 0,
      refusals: [],
      ...policy,
    },
  });
}

async function send(door: Door, site: string, key: Buffer, reports: readonly Report[]): Promise<void> {
  const { socket, inbox } = await door.proven(site, key);
  const sealed = reports.map((one) => seal(keyFrom(key), Buffer.from(JSON.stringify(one))));
  socket.send(encodeReportFrame({ frame: 1, lane: 'live', reports: sealed }));
  await inbox.next(({ type }) => type === 'ack');
  socket.close();
}

const PAYMENTS = '/api/v1/policies/Allowlist/payments';

export type PolicyDoor = { door: Door; keys: ReadonlyMap<string, Buffer> };

/** t1 and p1 have reported, and have a workload. */
export async function openPolicyDoor(options: Parameters<typeof openDoor>[0] = {}): Promise<PolicyDoor> {
  const door = await openDoor(options);
  const keys = new Map<string, Buffer>();
  await door.aggregator.start();
  for (const [name, selector] of [
    ['test', 'env=test'],
    ['prod', 'env=prod'],
  ] as const)
    await put(door, 'VirtualSite', name, virtualSite(name, { selector }));
  for (const [site, env] of [
    ['t1', 'test'],
    ['t2', 'test'],
    ['p1', 'prod'],
  ] as const)
    keys.set(site, await door.joined(site, { env }));
  for (const site of ['t1', 'p1'])
    await send(door, site, keys.get(site) ?? Buffer.alloc(0), [saying(site, 1, {})]);
  await until(
    'the reports',
    async () =>
      (await door.get<{ items: { receivedAtMs: number | null }[] }>('/api/v1/sites')).items.filter(
        ({ receivedAtMs }) => receivedAtMs !== null,
      ).length === 2,
  );
  return { door, keys };
}

export function put(door: Door, kind: string, name: string, body: unknown) {
  return door.call('PUT', `/api/v1/policies/${kind}/${name}`, { body });
}

/** t1 says where it stands with `payments`, in its report of that sequence number. */
export async function sayOfPayments(
  { door, keys }: PolicyDoor,
  seq: number,
  change: Partial<PolicyStatus> = {},
): Promise<void> {
  const one = saying('t1', seq, { policies: [status(change)] });
  await send(door, 't1', keys.get('t1') ?? Buffer.alloc(0), [one]);
}

/** Applies `payments`, and lets t1 say that it runs it. */
export async function applyPayments(open: PolicyDoor): Promise<void> {
  const { door } = open;
  const applied = await put(door, 'Allowlist', 'payments', payments());
  if (applied.status !== 200) throw new Error(applied.text);
  await until(
    'the rollout',
    async () => (await door.get<RolloutPage>('/api/v1/rollouts')).items.length === 1,
  );
  // Only now: a hub that hears of targets it never published takes itself for one that came back from a backup.
  await sayOfPayments(open, 2);
  await until('its hits', async () => (await door.get<PolicyHits>(`${PAYMENTS}/hits`)).sites === 1);
}
