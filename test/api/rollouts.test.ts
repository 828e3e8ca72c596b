import { afterAll, beforeAll, expect, test } from 'vitest';
import type { RolloutDetail, RolloutEvidence, RolloutPage } from '../../core/model/policy-view.ts';
import type { StageQuestion } from '../../core/policy/evidence.ts';
import { until } from '../parts/process.ts';
import { madeUpSiteEvidence } from '../web/stand-in-rollouts.ts';
import { type Door, fieldOf } from './door.ts';
import { applyPayments, openPolicyDoor, payments, put } from './policy-door.ts';

/** What was to be recomputed. */
const asked: unknown[] = [];
let door: Door;
beforeAll(async () => {
  const open = await openPolicyDoor({
    recompute: async (rollout, stageKey, decidedAtMs) => {
      asked.push([rollout, stageKey, decidedAtMs]);
      const sites = [{ site: 't1', verdict: 'fail' as const, reasons: [] }];
      return {
        outcome: 'answered',
        again: { verdict: 'inconclusive', reasons: [], sites, hits: 0, unexpectedDenies: 0 },
      };
    },
  });
  door = open.door;
  await applyPayments(open);
});
afterAll(() => door.close());

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
    { denied: { kind: 'new' }, count: 50, sites: 1, examples: ['t1'] },
  ]);
});

const EVIDENCE = '/api/v1/rollouts/Allowlist/payments/evidence';

function question(generation: number, decidedAtMs: number): StageQuestion {
  return {
    kind: 'Allowlist',
    name: 'payments',
    stage: 0,
    generation,
    digest: 'd',
    mode: 'enforce',
    version: { epoch: 1, n: 1 },
    sites: ['t1'],
    startedAtMs: decidedAtMs - 9000,
    decidedAtMs,
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
}

function decision(asked: StageQuestion, stage_key: string, verdict: string, reason: string) {
  return {
    rollout: 'Allowlist/payments',
    stage_key,
    decided_at: asked.decidedAtMs,
    verdict,
    reason_text: [reason],
    verifier_version: 1,
    question: JSON.stringify(asked),
  };
}

test('a decision comes with its question and evidence, and says where the rows now differ', async () => {
  const atMs = Date.now();
  const stageKey = `9/0/${atMs - 9000}`;
  await door.store.insert('decision', [
    decision(question(9, atMs - 500), stageKey, 'inconclusive', 'no traffic'),
    decision(question(9, atMs), stageKey, 'pass', '80% passed'),
  ]);
  const row = (decided_at: number, verdict: string) => ({
    rollout: 'Allowlist/payments',
    stage_key: stageKey,
    site: 't1',
    decided_at,
    verdict,
    reason_code: ['c'],
    reason_text: ['t'],
    evidence: '{}',
  });
  await door.store.insert('site_evidence', [
    row(atMs - 500, 'inconclusive'),
    row(atMs, 'pass'),
    row(atMs + 500, 'fail'),
  ]);
  const { decisions } = await door.get<RolloutEvidence>(`${EVIDENCE}?generation=9`);
  expect(decisions).toEqual([
    {
      stageKey,
      generation: 9,
      stage: 0,
      decidedAtMs: atMs,
      verdict: 'pass',
      reasons: ['80% passed'],
      verifierVersion: 1,
      question: question(9, atMs),
      sites: [{ site: 't1', verdict: 'pass', reasons: [{ code: 'c', text: 't' }], evidence: null }],
      sitesLeftOut: 0,
    },
  ]);
  const again = await door.get<RolloutEvidence>(`${EVIDENCE}?generation=9&recompute=true`);
  expect(asked).toEqual([['Allowlist/payments', stageKey, atMs]]);
  expect(again.decisions[0]?.recomputed).toEqual({
    outcome: 'answered',
    verdict: 'inconclusive',
    isSame: false,
    differences: ['the stage: was pass, now inconclusive', 't1: was pass, now fail'],
  });
});

test('evidence is of the generation decided about last, which is not always the largest', async () => {
  const atMs = Date.now() + 60_000;
  await door.store.insert('decision', [
    decision(question(9, atMs - 1000), `9/1/${atMs - 9000}`, 'pass', ''),
    decision(question(1, atMs), `1/1/${atMs - 9000}`, 'inconclusive', ''),
  ]);
  const { decisions } = await door.get<RolloutEvidence>(EVIDENCE);
  expect([...new Set(decisions.map(({ generation }) => generation))]).toEqual([1]);
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

test('who did what comes with it and with its evidence; of what never was there is none', async () => {
  const { acts } = await door.get<RolloutDetail>('/api/v1/rollouts/Allowlist/payments');
  expect(acts.map(({ act, role, stage }) => [act, role, stage])).toEqual([
    ['apply', 'admin', 0],
    ['pause', 'admin', 0],
    ['resume', 'admin', 0],
  ]);
  expect((await door.get<RolloutEvidence>(`${EVIDENCE}?generation=1`)).acts).toEqual(acts);
  expect((await door.get<RolloutEvidence>(`${EVIDENCE}?generation=9`)).acts).toEqual([]);
  expect((await door.call('GET', '/api/v1/rollouts/Allowlist/never/evidence')).status).toBe(404);
  const unknown = await door.call('GET', `${EVIDENCE}?generation=77`);
  expect([unknown.status, fieldOf(unknown.body, 'code')]).toEqual([404, 'not-found']);
  expect(fieldOf(unknown.body, 'detail')).toMatch(/generation 77 .* has the one decided about last/);
});

test('rules keep the hits that they were judged by where the stage was rolled back', async () => {
  const [rollout] = (await door.get<RolloutPage>('/api/v1/rollouts')).items;
  const startedAtMs = rollout?.stages[0]?.startedAtMs ?? 0;
  // t1 goes on saying that it has it; t2 says nothing of it any more.
  const judged = question(1, startedAtMs + 61_000);
  const recorded = madeUpSiteEvidence(judged.decidedAtMs);
  const rules = [{ rule: 'payments-api', hits: 41, probeHits: 0 }];
  await door.store.insert('site_evidence', [
    {
      rollout: 'Allowlist/payments',
      stage_key: `1/0/${startedAtMs}`,
      site: 't2',
      decided_at: judged.decidedAtMs,
      verdict: 'fail',
      reason_code: [],
      reason_text: [],
      evidence: JSON.stringify({ ...recorded, site: 't2', newest: { ...recorded.newest, rules: rules } }),
    },
  ]);
  await door.store.insert('decision', [decision(judged, `1/0/${startedAtMs}`, 'fail', 't2 failed')]);
  const shown = async () =>
    (await door.get<RolloutDetail>('/api/v1/rollouts/Allowlist/payments')).rules.map(
      ({ rule, hits, sites }) => [rule, hits, sites],
    );
  expect(await shown()).toEqual([['payments-api', 7, 1]]);
  const rolledBack = await door.call('POST', '/api/v1/rollouts/Allowlist/payments/rollback');
  expect(rolledBack.status).toBe(200);
  await until('the judged hits', async () => (await shown()).length === 1 && (await shown())[0]?.[1] !== 7);
  expect(await shown()).toEqual([['payments-api', 48, 2]]);
});

test('a policy has a rollout also when its name is as long as names may be', async () => {
  const name = 'a'.repeat(63);
  const applied = await put(door, 'Allowlist', name, { ...payments(), metadata: { name } });
  expect([applied.status, applied.text]).toEqual([200, expect.stringContaining('created')]);
  const { items } = await door.get<RolloutPage>('/api/v1/rollouts');
  expect(items.map((one) => one.name)).toEqual([name, 'payments']);
});
