import { afterAll, beforeAll, expect, test } from 'vitest';
import { asRecorded, createStageRecords } from '../../api/policy/stage-record.ts';
import type { RolloutDetail, RolloutEvidence, RolloutPage } from '../../core/model/policy-view.ts';
import type { Verdict } from '../../core/model/rollout.ts';
import type { SiteEvidence, StageQuestion } from '../../core/policy/evidence.ts';
import { until } from '../parts/process.ts';
import { madeUpRollout, madeUpSiteEvidence } from '../web/stand-in-rollouts.ts';
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

/** Has a decision recorded so long after the stage began, about what was found of some of its sites. */
async function decide(afterMs: number, verdict: Verdict, found: Found): Promise<{ startedAtMs: number }> {
  const [rollout] = (await door.get<RolloutPage>('/api/v1/rollouts')).items;
  const startedAtMs = rollout?.stages[0]?.startedAtMs ?? 0;
  const asked = { ...question(1, startedAtMs + afterMs), startedAtMs, sites: Object.keys(found) };
  await door.store.insert(
    'site_evidence',
    Object.entries(found).map(([site, [verdict, code, evidence]]) => ({
      rollout: 'Allowlist/payments',
      stage_key: `1/0/${startedAtMs}`,
      site,
      decided_at: asked.decidedAtMs,
      verdict,
      reason_code: [code],
      reason_text: [`because ${code}`],
      evidence: JSON.stringify({ ...evidence, site }),
    })),
  );
  await door.store.insert('decision', [
    decision(asked, `1/0/${startedAtMs}`, verdict, `${verdict}, at large`),
  ]);
  return { startedAtMs };
}
type Found = Record<string, [Verdict, string, SiteEvidence]>;

/** Of a site that runs generation 1, as it stood then. */
function found(newest: Partial<SiteEvidence['newest']>, change: Partial<SiteEvidence> = {}): SiteEvidence {
  const madeUp = madeUpSiteEvidence(Date.now());
  if (madeUp.newest === null) throw new Error('it says something');
  return { ...madeUp, newest: { ...madeUp.newest, generation: 1, ...newest }, ...change };
}
const rule = (hits: number) => ({ rule: 'payments-api', hits, probeHits: 2 });
const none = { ...madeUpSiteEvidence(0).ever, unexpectedDenies: 0 };

test('before its first evaluation a stage counts nothing, whatever its sites had counted until then', async () => {
  const detail = await door.get<RolloutDetail>('/api/v1/rollouts/Allowlist/payments');
  expect(detail).toMatchObject({ judgedAtMs: null, rules: [], sites: [{ hits: 0, now: null }, { hits: 0 }] });
});

test('a rollout shows of its stage, every site and rule what the newest evaluation counted, and apart what is now', async () => {
  const [rollout] = (await door.get<RolloutPage>('/api/v1/rollouts')).items;
  const atMs = rollout?.stages[0]?.startedAtMs ?? 0;
  const times = { deliveredAtMs: atMs + 10, appliedAtMs: atMs + 20, confirmedAtMs: atMs + 30 };
  const t1 = found(
    { rules: [rule(5)], ...times, firstHitAtMs: atMs + 40, unexpectedDenies: 1 },
    { ever: none },
  );
  const t2 = found({ rules: [rule(3)], unexpectedDenies: 0 }, { ever: none });
  await decide(49_000, 'inconclusive', {
    t1: ['inconclusive', 'soaking', found({ rules: [rule(1)] })],
    t2: ['fail', 'refused', t2],
  });
  const { startedAtMs } = await decide(50_000, 'pass', {
    t1: ['pass', 'all-well', t1],
    t2: ['inconclusive', 'soaking', t2],
  });
  const detail = await door.get<RolloutDetail>('/api/v1/rollouts/Allowlist/payments');
  expect(detail).toMatchObject({
    stage: 0,
    judgedAtMs: startedAtMs + 50_000,
    sitesLeftOut: 0,
    rules: [{ rule: 'payments-api', hits: 8, probeHits: 4, sites: 2 }],
  });
  expect(detail.rollout.stages[0]).toMatchObject({
    verdict: 'pass',
    reasons: ['pass, at large'],
    counts: { passed: 1, failed: 0, inconclusive: 1 },
    hits: 8,
    unexpectedDenies: 1,
  });
  expect(detail.sites.map(({ site, verdict }) => [site, verdict])).toEqual([
    ['t2', 'inconclusive'],
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
    hits: 5,
    unexpectedDenies: 1,
    now: { hits: 7, unexpectedDenies: 2 },
    hadItBefore: false,
    effect: {
      committedAtMs: startedAtMs,
      deliveredAtMs: atMs + 10,
      appliedAtMs: atMs + 20,
      liveAtMs: atMs + 30,
      firstHitAtMs: atMs + 40,
      verifiedAtMs: startedAtMs + 50_000,
    },
  });
  const later = await door.get<RolloutDetail>('/api/v1/rollouts/Allowlist/payments?stage=1');
  expect(later.sites.map(({ site, phase }) => [site, phase])).toEqual([['p1', null]]);
  expect((await door.call('GET', '/api/v1/rollouts/Allowlist/payments?stage=2')).status).toBe(404);
});

test('what a site had counted before the stage counts nowhere, and no time is told of what it had then', async () => {
  const before = { hitsBefore: [{ rule: 'payments-api', hits: 5 }], unexpectedBefore: 1, ever: none };
  const old = { deliveredAtMs: 1000, appliedAtMs: 2000, confirmedAtMs: 3000, firstHitAtMs: 4000 };
  const t1 = found({ rules: [rule(5)], unexpectedDenies: 1, ...old }, before);
  await decide(55_000, 'inconclusive', { t1: ['inconclusive', 'no-proof', t1] });
  const detail = await door.get<RolloutDetail>('/api/v1/rollouts/Allowlist/payments');
  expect(detail.rollout.stages[0]).toMatchObject({ hits: 0, unexpectedDenies: 0 });
  expect(detail.rules).toMatchObject([{ rule: 'payments-api', hits: 0, sites: 0 }]);
  expect(detail.sites.find(({ site }) => site === 't1')).toMatchObject({
    hits: 0,
    unexpectedDenies: 0,
    now: { hits: 2, unexpectedDenies: 1 },
    hadItBefore: true,
    effect: { deliveredAtMs: null, appliedAtMs: null, liveAtMs: null, firstHitAtMs: null },
  });
});

test('a site that returned to what it had keeps the figures, times and refusals that it was judged by', async () => {
  const t2 = found({ rules: [rule(41)] });
  const { startedAtMs } = await decide(60_000, 'fail', { t2: ['fail', 'unexpected-denies', t2] });
  const appliedAtMs = Math.max(startedAtMs, 0) + 20;
  const own = found({ rules: [rule(41)], appliedAtMs });
  await decide(60_001, 'fail', { t2: ['fail', 'unexpected-denies', own] });
  const detail = await door.get<RolloutDetail>('/api/v1/rollouts/Allowlist/payments');
  expect(detail.sites[0]).toMatchObject({
    site: 't2',
    verdict: 'fail',
    phase: null,
    hits: 41,
    unexpectedDenies: 2,
    now: null,
    effect: { appliedAtMs },
  });
  expect(detail.rules).toMatchObject([{ rule: 'payments-api', hits: 41, sites: 1 }]);
  expect(detail.denied).toMatchObject([
    { denied: { name: 'fraud.example', kind: 'unexpected' }, count: 4, sites: 2, examples: ['t1', 't2'] },
    { denied: { kind: 'new' }, count: 50, sites: 1, examples: ['t1'] },
  ]);
});

test('a stage that has passed shows what it passed with, and those that came late with theirs', async () => {
  const records = createStageRecords(door.store);
  const atMs = Date.now() - 20_000;
  const key = `4/0/${atMs}`;
  const stage = madeUpRollout(Date.now()).stages[0];
  if (stage === undefined) throw new Error('a stage');
  const asked = (decidedAtMs: number) => ({ ...question(1, decidedAtMs), startedAtMs: atMs });
  const row = (site: string, decided_at: number, hits: number) => ({
    rollout: 'Allowlist/payments',
    stage_key: key,
    site,
    decided_at,
    verdict: 'pass',
    reason_code: [],
    reason_text: [],
    evidence: JSON.stringify({ ...found({ rules: [rule(hits)] }), site }),
  });
  await door.store.insert('site_evidence', [
    row('t1', atMs + 5000, 5),
    row('t1', atMs + 9000, 9),
    row('t2', atMs + 8000, 3),
  ]);
  await door.store.insert('decision', [
    decision(asked(atMs + 5000), key, 'pass', ''),
    decision(asked(atMs + 9000), key, 'inconclusive', ''),
  ]);
  const read = async () => {
    const passed = { ...stage, phase: 'passed' as const, endedAtMs: atMs + 5500 };
    const record = await records.read('Allowlist/payments', key, passed);
    return record === null ? null : asRecorded(passed, record).hits;
  };
  expect(await read()).toBe(5);
  await door.store.insert('decision', [decision(asked(atMs + 8000), `${key}/late`, 'pass', '')]);
  expect(await read()).toBe(8);
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

test('what a stage was judged by stays when it is rolled back', async () => {
  const shown = () => door.get<RolloutDetail>('/api/v1/rollouts/Allowlist/payments');
  const before = await shown();
  expect((await door.call('POST', '/api/v1/rollouts/Allowlist/payments/rollback')).status).toBe(200);
  await until('it is rolled back', async () => (await shown()).rollout.phase === 'rolled-back');
  const { rules, judgedAtMs, sites } = await shown();
  expect({ rules, judgedAtMs }).toEqual({ rules: before.rules, judgedAtMs: before.judgedAtMs });
  expect(sites.find(({ site }) => site === 't2')).toMatchObject({ hits: 41, verdict: 'fail' });
});

test('a policy has a rollout also when its name is as long as names may be', async () => {
  const name = 'a'.repeat(63);
  const applied = await put(door, 'Allowlist', name, { ...payments(), metadata: { name } });
  expect([applied.status, applied.text]).toEqual([200, expect.stringContaining('created')]);
  const { items } = await door.get<RolloutPage>('/api/v1/rollouts');
  expect(items.map((one) => one.name)).toEqual([name, 'payments']);
});
