import type { TSchema } from 'typebox';
import { Compile } from 'typebox/compile';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AllowlistDocument } from '../../core/model/allowlist.ts';
import { Plan } from '../../core/model/plan.ts';
import {
  PolicyHits,
  PolicyPage,
  RolloutDetail,
  RolloutEvidence,
  RolloutPage,
} from '../../core/model/policy-view.ts';
import { until } from '../parts/process.ts';
import { type Door, fieldOf } from './door.ts';
import { applyPayments, openPolicyDoor, type PolicyDoor, payments, put, virtualSite } from './policy-door.ts';

let open: PolicyDoor;
let door: Door;
beforeAll(async () => {
  open = await openPolicyDoor();
  door = open.door;
});
afterAll(() => door.close());

describe('before anything is applied', () => {
  test('a plan says which sites, what is compiled, and what is missing', async () => {
    const answer = await door.call('POST', '/api/v1/policies/Allowlist/payments/plan', {
      body: { document: payments() },
    });
    expect(answer.status, answer.text).toBe(200);
    expect(Compile(Plan).Errors(answer.body)).toEqual([]);
    expect(answer.body).toMatchObject({
      effect: 'created',
      generation: 1,
      stages: [
        { virtualSite: 'test', sites: 2, byOutcome: { applies: 1, unknown: 1 } },
        { virtualSite: 'prod', sites: 1, byOutcome: { applies: 1 } },
      ],
      differences: [{ sites: 2, workloads: ['checkout'] }],
      violations: [],
    });
    expect(answer.text).toContain('api.payments.example');
  });

  test('a guard that would be broken is in the plan, and refuses the document', async () => {
    await put(
      door,
      'VirtualSite',
      'strict',
      virtualSite('strict', { selector: 'env=none', guard: { forbidden: ['10.0.0.0/8'] } }),
    );
    const body = {
      ...payments({
        egress: [
          { name: 'r', to: ['10.1.0.0/16', '10.2.0.0/16'].map((cidr) => ({ cidr, ports: ['443/TCP'] })) },
        ],
      }),
      rollout: { stages: [{ virtualSite: 'strict' }] },
    };
    const planned = await door.call('POST', '/api/v1/policies/Allowlist/payments/plan', {
      body: { document: body },
    });
    expect(planned.body).toMatchObject({
      violations: [
        { pointer: '/spec/egress/0/to/0', virtualSite: 'strict' },
        { pointer: '/spec/egress/0/to/1', virtualSite: 'strict' },
      ],
    });
    const applied = await put(door, 'Allowlist', 'payments', body);
    expect([applied.status, fieldOf(applied.body, 'code')]).toEqual([422, 'guard-rail']);
    expect(applied.body).toMatchObject({
      errors: [{ pointer: '/spec/egress/0/to/0' }, { pointer: '/spec/egress/0/to/1' }],
    });
  });

  test('a document with faults is refused with each of them, for a plan as for an apply', async () => {
    const body = payments({ egress: [{ name: 'r', to: ['https://a.example/path'] }] });
    const applied = await put(door, 'Allowlist', 'payments', body);
    const planned = await door.call('POST', '/api/v1/policies/Allowlist/payments/plan', {
      body: { document: body },
    });
    for (const [answer, above] of [
      [applied, ''],
      [planned, '/document'],
    ] as const) {
      expect(answer.status).toBe(422);
      expect(answer.body).toMatchObject({
        code: 'invalid-document',
        errors: [
          { pointer: `${above}/spec/egress/0/to/0`, detail: expect.stringContaining('leave the path out') },
        ],
      });
    }
  });

  test('a virtual site that is applied with it counts as it will be', async () => {
    const document = { ...payments(), rollout: { stages: [{ virtualSite: 'fresh' }] } };
    const ask = (virtualSites: unknown[]) =>
      door.call('POST', '/api/v1/policies/Allowlist/payments/plan', { body: { document, virtualSites } });
    expect((await ask([])).body).toMatchObject({
      stages: [{ sites: 0 }],
      violations: [{ pointer: '/rollout/stages/0/virtualSite' }],
    });
    const fresh = await ask([virtualSite('fresh', { selector: 'env=prod' })]);
    expect(fresh.body).toMatchObject({ stages: [{ sites: 1 }], violations: [] });
    expect(fresh.text).toContain('virtual site fresh is taken as it is in the same documents');
    const guard = { minSoak: '3d' };
    expect((await ask([virtualSite('fresh', { selector: 'env=prod', guard })])).body).toMatchObject({
      violations: [{ pointer: '/rollout/stages/0/verify/soak', virtualSite: 'fresh' }],
    });
    expect((await ask([payments()])).body).toMatchObject({
      code: 'invalid-document',
      errors: [{ pointer: '/virtualSites/0/kind' }],
    });
  });

  test('a plan takes as many virtual sites as it says, and no more', async () => {
    const virtualSites = Array.from({ length: 65 }, (_, i) => virtualSite(`v${i}`, { selector: 'env=prod' }));
    const ask = (some: unknown[]) =>
      door.call('POST', '/api/v1/policies/Allowlist/payments/plan', {
        body: { document: payments(), virtualSites: some },
      });
    expect((await ask(virtualSites.slice(1))).status).toBe(200);
    expect(await ask(virtualSites)).toMatchObject({
      status: 422,
      body: { code: 'invalid-document', errors: [{ pointer: '/virtualSites' }] },
    });
  });

  test('a document of another kind or name than its address is refused', async () => {
    expect((await put(door, 'VirtualSite', 'payments', payments())).status).toBe(422);
    expect((await put(door, 'Allowlist', 'other', payments())).status).toBe(422);
  });
});

describe('a policy that was applied', () => {
  beforeAll(() => applyPayments(open));

  test.each<[string, TSchema]>([
    ['/api/v1/policies', PolicyPage],
    ['/api/v1/policies/Allowlist/payments', AllowlistDocument],
    ['/api/v1/policies/Allowlist/payments/hits', PolicyHits],
    ['/api/v1/rollouts', RolloutPage],
    ['/api/v1/rollouts/Allowlist/payments', RolloutDetail],
    ['/api/v1/rollouts/Allowlist/payments?stage=1', RolloutDetail],
    ['/api/v1/rollouts/Allowlist/payments/evidence', RolloutEvidence],
  ])('GET %s answers in its documented shape', async (path, schema) => {
    const body = await door.get(path);
    expect(Compile(schema).Errors(body)).toEqual([]);
  });

  test('reads back as it was written, with its revision', async () => {
    const answer = await door.call('GET', '/api/v1/policies/Allowlist/payments');
    expect(answer.body).toEqual(payments());
    expect(answer.headers.get('etag')).toMatch(/^"\d+-.+"$/);
    const again = await put(door, 'Allowlist', 'payments', answer.body);
    expect(fieldOf(again.body, 'effect')).toBe('unchanged');
  });

  test('is in the list with its rollout', async () => {
    const { items } = await door.get<PolicyPage>('/api/v1/policies');
    expect(items).toMatchObject([
      { name: 'payments', generation: 1, rules: 1, rollout: 'progressing', stage: 'test' },
    ]);
  });

  test('another one to the same sites waits for it, which its plan says as its refusal does', async () => {
    const document = { ...payments(), metadata: { name: 'audit' } };
    const planOf = async (name: string, body: object) =>
      (await door.call('POST', `/api/v1/policies/Allowlist/${name}/plan`, { body: { document: body } })).body;
    const refused = await put(door, 'Allowlist', 'audit', document);
    expect(refused.body).toMatchObject({ code: 'rollout-busy' });
    expect(await planOf('audit', document)).toMatchObject({
      violations: [
        {
          pointer: '/rollout/stages/0/virtualSite',
          virtualSite: 'test',
          problem: expect.stringContaining('Allowlist payments, generation 1, is not verified at test yet'),
          remedy: expect.stringContaining('`plumbline rollout rollback Allowlist/payments`'),
        },
      ],
    });
    expect(await planOf('payments', payments())).toMatchObject({ violations: [] });
  });

  test('its hits are each site’s newest, added up by rule, and refusals by destination', async () => {
    const hits = await door.get<PolicyHits>('/api/v1/policies/Allowlist/payments/hits');
    expect(hits.sites).toBe(1);
    expect(hits.rules).toEqual([{ generation: 1, rule: 'payments-api', hits: 7, probeHits: 2, sites: 1 }]);
    expect(hits.denied).toEqual([
      {
        generation: 1,
        denied: {
          workload: 'checkout',
          direction: 'egress',
          address: '198.51.100.7',
          port: 443,
          protocol: 'TCP',
          name: 'fraud.example',
          kind: 'unexpected',
        },
        count: 2,
        sites: 1,
        examples: ['t1'],
      },
      expect.objectContaining({ count: 50, denied: expect.objectContaining({ kind: 'new' }) }),
    ]);
  });

  test('a viewer may look and plan, and changes nothing', async () => {
    const { body } = await door.call('POST', '/api/v1/tokens', { body: { name: 'v', role: 'viewer' } });
    const token = fieldOf(body, 'token');
    const before = (await door.records('commands', 1)).length;
    const by = (method: string, path: string, sent?: unknown) =>
      door.call(method, path, { token, ...(sent !== undefined && { body: sent }) });
    expect((await by('GET', '/api/v1/rollouts/Allowlist/payments')).status).toBe(200);
    expect(
      (await by('POST', '/api/v1/policies/Allowlist/payments/plan', { document: payments() })).status,
    ).toBe(200);
    expect((await by('PUT', '/api/v1/policies/Allowlist/payments', payments())).status).toBe(403);
    expect((await by('POST', '/api/v1/rollouts/Allowlist/payments/promote')).status).toBe(403);
    expect((await by('POST', '/api/v1/keys/rotate')).status).toBe(403);
    expect((await by('POST', '/api/v1/hub/restore')).status).toBe(403);
    // Turned away before anything was written down.
    expect((await door.records('commands', before)).length).toBe(before);
  });

  test('what is not there is said to be so', async () => {
    for (const path of [
      '/api/v1/policies/Allowlist/no',
      '/api/v1/policies/Allowlist/no/hits',
      '/api/v1/rollouts/Allowlist/no',
      '/api/v1/rollouts/Quota/payments',
      '/api/v1/policies/Quota/no',
    ])
      expect([path, (await door.call('GET', path)).status]).toEqual([path, 404]);
    expect((await door.call('POST', '/api/v1/rollouts/Allowlist/no/pause')).status).toBe(404);
  });

  test('is gone when it is deleted', async () => {
    const gone = await door.call('DELETE', '/api/v1/policies/Allowlist/payments');
    expect(gone.body).toEqual({ effect: 'deleted', kind: 'Allowlist', name: 'payments' });
    await until('gone', async () => (await door.get<PolicyPage>('/api/v1/policies')).items.length === 0);
  });
});

test('the schemas of documents are there for editors, without signing in', async () => {
  for (const kind of ['VirtualSite', 'Allowlist']) {
    const { status, body } = await door.call('GET', `/api/v1/schemas/${kind}.json`, { token: null });
    expect([status, fieldOf(body, 'title')]).toEqual([200, `Plumbline ${kind}`]);
  }
  expect((await door.call('GET', '/api/v1/schemas/Quota.json', { token: null })).status).toBe(404);
});
