import { afterAll, beforeAll, expect, test } from 'vitest';
import type { FleetEvent } from '../../core/model/event.ts';
import type { PolicyPage, RolloutDetail } from '../../core/model/policy-view.ts';
import { until } from '../parts/process.ts';
import type { Door } from './door.ts';
import { openPolicyDoor, type PolicyDoor, payments, put, sayOfPayments } from './policy-door.ts';

let open: PolicyDoor;
let door: Door;
beforeAll(async () => {
  open = await openPolicyDoor();
  door = open.door;
});
afterAll(() => door.close());

const ADDRESS = '/api/v1/policies/Allowlist/payments';
const rollout = () => door.get<RolloutDetail>('/api/v1/rollouts/Allowlist/payments');
const other = payments({ egress: [{ name: 'other', to: ['https://other.example'] }] });

test('content that failed and was superseded is applied again as a retry alone, which is told', async () => {
  expect((await put(door, 'Allowlist', 'payments', payments())).status).toBe(200);
  const policy = await until(
    'the policy',
    async () => (await door.get<PolicyPage>('/api/v1/policies')).items[0],
  );
  const digest = policy?.digest ?? '';
  await sayOfPayments(open, 2, { phase: 'refused', reason: 'cuts-hub', digest });
  await until('its failure', async () => (await rollout()).rollout.phase === 'rolled-back');
  expect((await put(door, 'Allowlist', 'payments', other)).status).toBe(200);
  const refused = await put(door, 'Allowlist', 'payments', payments());
  expect(refused.body).toMatchObject({
    code: 'digest-failed',
    detail: expect.stringContaining('`plumbline apply -f <file> --retry`'),
  });
  const vague = await door.call('PUT', `${ADDRESS}?retry=perhaps`, { body: payments() });
  expect(vague.status).toBe(400);
  const again = await door.call('PUT', `${ADDRESS}?retry=true`, { body: payments() });
  expect([again.status, again.body]).toMatchObject([200, { effect: 'updated' }]);
  const shown = await until('the third generation', async () => {
    const found = await rollout();
    return found.rollout.generation === 3 && found;
  });
  expect(shown).toMatchObject({
    failedDigests: [],
    rollout: { phase: 'progressing', stage: 0 },
    acts: [{ act: 'apply', by: 'admin', why: 'its content failed before, and is tried again' }],
  });
  const [told] = await until('the event', async () => {
    const { items } = await door.get<{ items: FleetEvent[] }>('/api/v1/events?kind=rollout.retried');
    return items.length > 0 && items;
  });
  expect(told).toMatchObject({ by: 'admin', message: expect.stringContaining('generation 3') });
});

test('events of one decision, which are of the same time, are listed in its order', async () => {
  const { items } = await door.get<{ items: FleetEvent[] }>('/api/v1/events');
  const kindsWith = (kind: FleetEvent['kind']) => {
    const atMs = items.find((one) => one.kind === kind)?.atMs;
    return items.flatMap((one) => (one.atMs === atMs ? [one.kind] : []));
  };
  expect(kindsWith('rollout.stage-failed')).toEqual(['rollout.rolled-back', 'rollout.stage-failed']);
  expect(kindsWith('rollout.retried')).toEqual([
    'rollout.stage-started',
    'rollout.retried',
    'rollout.started',
    'rollout.superseded',
    'policy.changed',
  ]);
});

test('a retry of what has not failed is as without it; of what just failed it begins the same generation anew', async () => {
  const retry = () => door.call('PUT', `${ADDRESS}?retry=true`, { body: payments() });
  expect((await retry()).body).toMatchObject({ effect: 'unchanged' });
  const { rollout: tried, failedDigests } = await rollout();
  expect(failedDigests).toEqual([]);
  const policy = await until(
    'the policy',
    async () => (await door.get<PolicyPage>('/api/v1/policies')).items[0],
  );
  const { digest = '' } = policy ?? {};
  const seen = tried.stages[0]?.version ?? { epoch: 1, n: 1 };
  const refused = { phase: 'refused', reason: 'cuts-hub', digest } as const;
  await sayOfPayments(open, 3, { ...refused, generation: tried.generation, seen });
  await until('its failure', async () => (await rollout()).rollout.phase === 'rolled-back');
  expect((await put(door, 'Allowlist', 'payments', payments())).body).toMatchObject({ effect: 'unchanged' });
  expect((await retry()).body).toMatchObject({ effect: 'updated' });
  const begun = (found: RolloutDetail) => found.rollout.phase === 'progressing' && found;
  expect(await until('its beginning', async () => begun(await rollout()))).toMatchObject({
    failedDigests: [],
    rollout: { generation: tried.generation, stage: 0 },
  });
});
