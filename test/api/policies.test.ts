import type { TSchema } from 'typebox';
import { Compile } from 'typebox/compile';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { encodeReportFrame } from '../../core/channel.ts';
import { AllowlistDocument } from '../../core/model/allowlist.ts';
import { Plan } from '../../core/model/plan.ts';
import type { PolicyReport, PolicyStatus } from '../../core/model/policy-report.ts';
import {
  PolicyHits,
  PolicyPage,
  RolloutDetail,
  RolloutEvidence,
  RolloutPage,
} from '../../core/model/policy-view.ts';
import type { Report } from '../../core/model/report.ts';
import type { StageQuestion } from '../../core/policy/evidence.ts';
import { keyFrom, seal } from '../../core/seal.ts';
import { until } from '../parts/process.ts';
import { FIRST_BOOT, report } from '../parts/report.ts';
import { madeUpSiteEvidence } from '../web/stand-in-rollouts.ts';
import { type Door, fieldOf, openDoor } from './door.ts';

const virtualSite = (name: string, spec: object) => ({
  apiVersion: 'plumbline.io/v1',
  kind: 'VirtualSite',
  metadata: { name },
  spec,
});
const payments = (change: object = {}) => ({
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
let door: Door;
const keys = new Map<string, Buffer>();
/** What was to be recomputed. */
const asked: unknown[] = [];
beforeAll(async () => {
  door = await openDoor({
    recompute: async (rollout, stageKey, decidedAtMs) => {
      asked.push([rollout, stageKey, decidedAtMs]);
      const sites = [{ site: 't1', verdict: 'fail' as const, reasons: [] }];
      return { again: { verdict: 'inconclusive', reasons: [], sites, hits: 0, unexpectedDenies: 0 } };
    },
  });
  await door.aggregator.start();
  for (const [name, selector] of [
    ['test', 'env=test'],
    ['prod', 'env=prod'],
  ] as const)
    await put('VirtualSite', name, virtualSite(name, { selector }));
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
});
afterAll(() => door.close());

async function put(kind: string, name: string, body: unknown) {
  return door.call('PUT', `/api/v1/policies/${kind}/${name}`, { body });
}

describe('before anything is applied', () => {
  test('a plan says which sites, what is compiled, and what is missing', async () => {
    const answer = await door.call('POST', '/api/v1/policies/Allowlist/payments/plan', { body: payments() });
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
      'VirtualSite',
      'strict',
      virtualSite('strict', { selector: 'env=none', guard: { forbidden: ['10.0.0.0/8'] } }),
    );
    const body = {
      ...payments({ egress: [{ name: 'r', to: [{ cidr: '10.1.0.0/16', ports: ['443/TCP'] }] }] }),
      rollout: { stages: [{ virtualSite: 'strict' }] },
    };
    const planned = await door.call('POST', '/api/v1/policies/Allowlist/payments/plan', { body });
    expect(planned.body).toMatchObject({
      violations: [{ pointer: '/spec/egress/0/to/0', virtualSite: 'strict' }],
    });
    const applied = await put('Allowlist', 'payments', body);
    expect([applied.status, fieldOf(applied.body, 'code')]).toEqual([422, 'guard-rail']);
  });

  test('a document with faults is refused with each of them, for a plan as for an apply', async () => {
    const body = payments({ egress: [{ name: 'r', to: ['https://a.example/path'] }] });
    for (const answer of [
      await put('Allowlist', 'payments', body),
      await door.call('POST', '/api/v1/policies/Allowlist/payments/plan', { body }),
    ]) {
      expect(answer.status).toBe(422);
      expect(answer.body).toMatchObject({
        code: 'invalid-document',
        errors: [{ pointer: '/spec/egress/0/to/0', detail: expect.stringContaining('leave the path out') }],
      });
    }
  });

  test('a document of another kind or name than its address is refused', async () => {
    expect((await put('VirtualSite', 'payments', payments())).status).toBe(422);
    expect((await put('Allowlist', 'other', payments())).status).toBe(422);
  });
});

describe('a policy that was applied', () => {
  beforeAll(async () => {
    const applied = await put('Allowlist', 'payments', payments());
    expect([applied.status, fieldOf(applied.body, 'effect')], applied.text).toEqual([200, 'created']);
    await until(
      'the rollout',
      async () => (await door.get<RolloutPage>('/api/v1/rollouts')).items.length === 1,
    );
    // Only now: a hub that hears of targets it never published takes itself for one that came back from a backup.
    await send(door, 't1', keys.get('t1') ?? Buffer.alloc(0), [saying('t1', 2, { policies: [status()] })]);
    await until('its hits', async () => (await door.get<PolicyHits>(`${PAYMENTS}/hits`)).sites === 1);
  });

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
    expect(answer.headers.get('etag')).toMatch(/^"\d+"$/);
    const again = await put('Allowlist', 'payments', answer.body);
    expect(fieldOf(again.body, 'effect')).toBe('unchanged');
  });

  test('is in the list with its rollout', async () => {
    const { items } = await door.get<PolicyPage>('/api/v1/policies');
    expect(items).toMatchObject([
      { name: 'payments', generation: 1, rules: 1, rollout: 'progressing', stage: 'test' },
    ]);
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
    ]);
  });

  test('a rollout shows every site of the stage: its verdict and reasons, where it stands, and how long it took', async () => {
    const [rollout] = (await door.get<RolloutPage>('/api/v1/rollouts')).items;
    const startedAtMs = rollout?.stages[0]?.startedAtMs ?? 0;
    const common = { rollout: 'Allowlist/payments', stage_key: `1/0/${startedAtMs}`, evidence: '{}' };
    const rows = (decided_at: number, verdict: string, code: string) => ({
      ...common,
      site: 't1',
      decided_at,
      verdict,
      reason_code: [code],
      reason_text: [`because ${code}`],
    });
    await door.store.insert('site_evidence', [
      rows(startedAtMs + 86_400_000, 'inconclusive', 'no-traffic'),
      rows(startedAtMs + 86_400_001, 'pass', 'all-well'),
    ]);
    const detail = await door.get<RolloutDetail>('/api/v1/rollouts/Allowlist/payments');
    expect(detail).toMatchObject({ stage: 0, sitesLeftOut: 0, rules: [{ rule: 'payments-api', hits: 7 }] });
    expect(detail.sites.map(({ site, verdict }) => [site, verdict])).toEqual([
      ['t2', null],
      ['t1', 'pass'],
    ]);
    expect(detail.sites[1]).toEqual({
      site: 't1',
      verdict: 'pass',
      reasons: [{ code: 'all-well', text: 'because all-well' }],
      phase: 'applied',
      detail: '',
      generation: 1,
      live: true,
      hits: 7,
      denies: 3,
      unexpectedDenies: 2,
      effect: {
        committedAtMs: startedAtMs,
        deliveredAtMs: 1000,
        appliedAtMs: 2000,
        liveAtMs: 3000,
        firstHitAtMs: 4000,
        verifiedAtMs: startedAtMs + 86_400_001,
      },
    });
    const later = await door.get<RolloutDetail>('/api/v1/rollouts/Allowlist/payments?stage=1');
    expect(later.sites.map(({ site, phase }) => [site, phase])).toEqual([['p1', null]]);
    expect((await door.call('GET', '/api/v1/rollouts/Allowlist/payments?stage=2')).status).toBe(404);
  });

  test('what was refused at a site that returned to what it had stays shown with its verdict', async () => {
    const [rollout] = (await door.get<RolloutPage>('/api/v1/rollouts')).items;
    const startedAtMs = rollout?.stages[0]?.startedAtMs ?? 0;
    const recorded = madeUpSiteEvidence(startedAtMs + 60_000);
    await door.store.insert('site_evidence', [
      {
        rollout: 'Allowlist/payments',
        stage_key: `1/0/${startedAtMs}`,
        site: 't2',
        decided_at: startedAtMs + 60_000,
        verdict: 'fail',
        reason_code: ['unexpected-denies'],
        reason_text: ['2 unexpected denies'],
        evidence: JSON.stringify({ ...recorded, site: 't2' }),
      },
    ]);
    const detail = await door.get<RolloutDetail>('/api/v1/rollouts/Allowlist/payments');
    expect(detail.sites[0]).toMatchObject({
      site: 't2',
      verdict: 'fail',
      phase: null,
      hits: 0,
      unexpectedDenies: 2,
      effect: { appliedAtMs: recorded.newest?.appliedAtMs },
    });
    expect(detail.denied).toMatchObject([
      { denied: { name: 'fraud.example', kind: 'unexpected' }, count: 4, sites: 2, examples: ['t1', 't2'] },
    ]);
  });

  test('a decision comes with its question and evidence, and says where the rows now differ', async () => {
    const atMs = Date.now();
    const question: StageQuestion = {
      kind: 'Allowlist',
      name: 'payments',
      stage: 0,
      generation: 9,
      digest: 'd',
      mode: 'enforce',
      version: { epoch: 1, n: 1 },
      sites: ['t1'],
      startedAtMs: atMs - 9000,
      decidedAtMs: atMs,
      newRules: [],
      probes: [],
      soakMs: 0,
      minHits: 1,
      minHitsTotal: 1,
      maxUnexpectedDenies: 0,
      maxScoreDrop: 5,
      minConclusive: 0.8,
      maxFailures: 0,
      controlDrop: null,
    };
    const stageKey = `9/0/${atMs - 9000}`;
    const common = { rollout: 'Allowlist/payments', stage_key: stageKey };
    await door.store.insert('decision', [
      {
        ...common,
        decided_at: atMs - 500,
        verdict: 'inconclusive',
        reason_text: ['no traffic'],
        verifier_version: 1,
        question: JSON.stringify({ ...question, decidedAtMs: atMs - 500 }),
      },
      {
        ...common,
        decided_at: atMs,
        verdict: 'pass',
        reason_text: ['80% passed'],
        verifier_version: 1,
        question: JSON.stringify(question),
      },
    ]);
    const row = (site: string, decided_at: number, verdict: string) => ({
      ...common,
      site,
      decided_at,
      verdict,
      reason_code: ['c'],
      reason_text: ['t'],
      evidence: '{}',
    });
    await door.store.insert('site_evidence', [
      row('t1', atMs - 500, 'inconclusive'),
      row('t1', atMs, 'pass'),
      row('t1', atMs + 500, 'fail'),
    ]);
    const path = '/api/v1/rollouts/Allowlist/payments/evidence?generation=9';
    const { decisions } = await door.get<RolloutEvidence>(path);
    expect(decisions).toEqual([
      {
        stageKey,
        generation: 9,
        stage: 0,
        decidedAtMs: atMs,
        verdict: 'pass',
        reasons: ['80% passed'],
        verifierVersion: 1,
        question,
        sites: [{ site: 't1', verdict: 'pass', reasons: [{ code: 'c', text: 't' }], evidence: null }],
      },
    ]);
    const again = await door.get<RolloutEvidence>(`${path}&recompute=true`);
    expect(asked).toEqual([['Allowlist/payments', stageKey, atMs]]);
    expect(again.decisions[0]?.recomputed).toEqual({
      verdict: 'inconclusive',
      isSame: false,
      differences: ['the stage: was pass, now inconclusive', 't1: was pass, now fail'],
    });
  });

  test('what a person has done with it goes to control, and what that refuses is told', async () => {
    const act = (action: string) => door.call('POST', `/api/v1/rollouts/Allowlist/payments/${action}`);
    const paused = await act('pause');
    expect([paused.status, paused.body]).toEqual([
      200,
      { effect: 'updated', kind: 'Rollout', name: 'payments' },
    ]);
    await until(
      'paused',
      async () => (await door.get<RolloutPage>('/api/v1/rollouts')).items[0]?.phase === 'paused',
    );
    expect((await act('resume')).status).toBe(200);
    expect(fieldOf((await act('promote')).body, 'code')).toBe('rollout-phase');
    expect((await act('explode')).status).toBe(400);
  });

  test('a viewer may look and plan, and changes nothing', async () => {
    const { body } = await door.call('POST', '/api/v1/tokens', { body: { name: 'v', role: 'viewer' } });
    const token = fieldOf(body, 'token');
    const by = (method: string, path: string, sent?: unknown) =>
      door.call(method, path, { token, ...(sent !== undefined && { body: sent }) });
    expect((await by('GET', '/api/v1/rollouts/Allowlist/payments')).status).toBe(200);
    expect((await by('POST', '/api/v1/policies/Allowlist/payments/plan', payments())).status).toBe(200);
    expect((await by('PUT', '/api/v1/policies/Allowlist/payments', payments())).status).toBe(403);
    expect((await by('POST', '/api/v1/rollouts/Allowlist/payments/promote')).status).toBe(403);
    expect((await by('POST', '/api/v1/keys/rotate')).status).toBe(403);
    expect((await by('POST', '/api/v1/hub/restore')).status).toBe(403);
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
