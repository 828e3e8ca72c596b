/** A rollout, its evidence and a plan, made up: for the page, and for commands of the CLI. */
import type { Plan } from '../../core/model/plan.ts';
import type {
  RolloutDetail,
  RolloutEvidence,
  RolloutSite,
  RolloutView,
} from '../../core/model/policy-view.ts';
import type { RolloutAct } from '../../core/model/rollout.ts';
import type { SiteEvidence, StageQuestion } from '../../core/policy/evidence.ts';

type Stage = RolloutView['stages'][number];

function stage(part: Partial<Stage>): Stage {
  return {
    virtualSite: 'test',
    mode: 'enforce',
    phase: 'waiting',
    startedAtMs: null,
    endedAtMs: null,
    deadlineAtMs: null,
    version: null,
    attempt: { epoch: 1, n: 1 },
    verdict: 'inconclusive',
    reasons: [],
    counts: { sites: 0, applied: 0, passed: 0, failed: 0, inconclusive: 0, notApplicable: 0 },
    hits: 0,
    unexpectedDenies: 0,
    evaluatedAtMs: null,
    ...part,
  };
}

/** `payments` at its second stage of three: audited in test, on its way there. */
export function madeUpRollout(nowMs: number, part: Partial<RolloutView> = {}): RolloutView {
  const counts = { sites: 3, applied: 3, passed: 1, failed: 0, inconclusive: 2, notApplicable: 0 };
  return {
    kind: 'Allowlist',
    name: 'payments',
    generation: 3,
    digest: 'QmFzZTY0dXJsLW9mLWEtZGlnZXN0LW9mLXRoZS1zcGVj',
    phase: 'progressing',
    reason: '',
    stage: 1,
    stages: [
      stage({
        mode: 'audit',
        phase: 'passed',
        startedAtMs: nowMs - 1_200_000,
        endedAtMs: nowMs - 600_000,
        verdict: 'pass',
        counts: { ...counts, passed: 3, inconclusive: 0 },
        hits: 120,
        evaluatedAtMs: nowMs - 600_000,
      }),
      stage({
        phase: 'soaking',
        startedAtMs: nowMs - 300_000,
        version: { epoch: 1, n: 4 },
        reasons: ['1 of 3 sites passed, 80% are needed'],
        counts,
        hits: 41,
        unexpectedDenies: 2,
        evaluatedAtMs: nowMs - 1000,
      }),
      stage({ virtualSite: 'prod' }),
    ],
    startedAtMs: nowMs - 1_200_000,
    updatedAtMs: nowMs - 1000,
    updatedBy: 'control',
    ...part,
  };
}

function site(name: string, nowMs: number, part: Partial<RolloutSite>): RolloutSite {
  const committedAtMs = nowMs - 300_000;
  return {
    site: name,
    verdict: 'inconclusive',
    reasons: [],
    phase: 'applied',
    detail: '',
    generation: 3,
    live: true,
    hits: 0,
    unexpectedDenies: 0,
    now: { hits: 0, unexpectedDenies: 0 },
    hadItBefore: false,
    ...part,
    effect: {
      committedAtMs,
      deliveredAtMs: committedAtMs + 300,
      appliedAtMs: committedAtMs + 800,
      liveAtMs: committedAtMs + 1600,
      firstHitAtMs: null,
      verifiedAtMs: null,
      ...part.effect,
    },
  };
}

const DENIED = {
  workload: 'checkout',
  direction: 'egress',
  address: '198.51.100.7',
  name: 'fraud.example',
  port: 443,
  protocol: 'TCP',
  kind: 'unexpected',
} as const;

export function madeUpDetailOf(rollout: RolloutView, nowMs: number): RolloutDetail {
  const committedAtMs = nowMs - 300_000;
  const passed = {
    committedAtMs,
    deliveredAtMs: committedAtMs + 300,
    appliedAtMs: committedAtMs + 800,
    liveAtMs: committedAtMs + 1600,
    firstHitAtMs: committedAtMs + 2400,
    verifiedAtMs: committedAtMs + 61_000,
  };
  return {
    rollout,
    strategy: { stages: rollout.stages.map(({ virtualSite, mode }) => ({ virtualSite, mode })) },
    promoted: [{ virtualSite: 'test', generation: 3, mode: 'audit' }],
    failedDigests: [],
    acts: madeUpActs(nowMs),
    stage: rollout.stage,
    judgedAtMs: nowMs - 6000,
    sites: [
      site('test-b', nowMs, {
        reasons: [{ code: 'soaking', text: 'soaking, 5 m of 10 m' }],
        hits: 0,
        unexpectedDenies: 2,
        now: { hits: 0, unexpectedDenies: 2 },
      }),
      site('test-c', nowMs, { reasons: [{ code: 'no-traffic', text: 'no traffic' }] }),
      site('test-a', nowMs, {
        verdict: 'pass',
        hits: 41,
        now: { hits: 43, unexpectedDenies: 0 },
        effect: passed,
      }),
    ],
    sitesLeftOut: 0,
    rules: [{ generation: 3, rule: 'payments-api', hits: 41, probeHits: 6, sites: 1 }],
    denied: [{ generation: 3, denied: DENIED, count: 2, sites: 1, examples: ['test-b'] }],
  };
}

function madeUpActs(nowMs: number): RolloutAct[] {
  const common = { generation: 3, virtualSite: 'test', isApproval: false, why: '' };
  return [
    { ...common, act: 'apply', atMs: nowMs - 1_200_000, by: 'ada', role: 'author', stage: 0, mode: 'audit' },
    {
      ...common,
      act: 'promote',
      atMs: nowMs - 300_000,
      by: 'kim',
      role: 'approver',
      stage: 1,
      mode: 'enforce',
      isApproval: true,
    },
  ];
}

export function madeUpEvidence(nowMs: number): RolloutEvidence {
  const question = (part: Partial<StageQuestion>): StageQuestion => ({
    kind: 'Allowlist',
    name: 'payments',
    stage: 0,
    generation: 3,
    digest: 'd',
    mode: 'audit',
    version: { epoch: 1, n: 4 },
    sites: ['test-b'],
    startedAtMs: nowMs - 1_200_000,
    decidedAtMs: nowMs - 600_000,
    newRules: ['payments-api'],
    probes: ['canary'],
    soakMs: 600_000,
    minHits: 1,
    minHitsTotal: 20,
    maxUnexpectedDenies: 0,
    maxScoreDrop: 5,
    minConclusive: 0.8,
    maxFailures: 0,
    controlDrop: null,
    ...part,
  });
  const common = { generation: 3, verifierVersion: 1, sitesLeftOut: 0 };
  return {
    kind: 'Allowlist',
    name: 'payments',
    generation: 3,
    acts: madeUpActs(nowMs),
    decisions: [
      {
        ...common,
        stageKey: `3/1/${nowMs - 300_000}`,
        stage: 1,
        decidedAtMs: nowMs,
        verdict: 'fail',
        reasons: ['1 site failed, 0 are allowed'],
        question: question({ stage: 1, mode: 'enforce', startedAtMs: nowMs - 300_000, decidedAtMs: nowMs }),
        sites: [
          {
            site: 'test-b',
            verdict: 'fail',
            reasons: [{ code: 'unexpected-denies', text: '2 unexpected denies' }],
            evidence: madeUpSiteEvidence(nowMs),
          },
        ],
      },
      {
        ...common,
        stageKey: `3/0/${nowMs - 1_200_000}`,
        stage: 0,
        decidedAtMs: nowMs - 600_000,
        verdict: 'pass',
        reasons: [],
        question: question({}),
        sites: [{ site: 'test-b', verdict: 'pass', reasons: [], evidence: null }],
      },
    ],
  };
}

export function madeUpSiteEvidence(nowMs: number): SiteEvidence {
  return {
    site: 'test-b',
    reports: 30,
    boots: 1,
    missing: 0,
    quarantined: 0,
    newestReceivedAtMs: nowMs - 2000,
    newestMadeAtMs: nowMs - 2100,
    hitsBefore: [],
    unexpectedBefore: 0,
    intervalMs: 10_000,
    clockOffsetMs: 3,
    newest: {
      enforcement: 'on',
      seen: { epoch: 1, n: 4 },
      generation: 3,
      digest: 'd',
      mode: 'enforce',
      phase: 'applied',
      reason: '',
      live: true,
      workloads: 1,
      counterEpoch: 1,
      rules: [{ rule: 'payments-api', hits: 0, probeHits: 3 }],
      denies: 2,
      probeDenies: 3,
      unexpectedDenies: 2,
      denied: [{ ...DENIED, count: 2 }],
      fullSets: 0,
      probes: [
        {
          name: 'canary',
          workload: 'checkout',
          expect: 'deny',
          outcome: 'refused',
          control: 'connected',
          denyMoved: true,
          atMs: nowMs - 5000,
        },
      ],
      established: { total: 0, some: [] },
      deliveredAtMs: nowMs - 299_700,
      appliedAtMs: nowMs - 299_200,
      confirmedAtMs: nowMs - 298_400,
      firstHitAtMs: null,
    },
    ever: {
      notLive: 0,
      fullSets: 0,
      counterEpochs: 1,
      decreases: 0,
      lostObservations: 0,
      unexpectedDenies: 2,
    },
    appliedSinceMs: nowMs - 298_000,
    scoreBefore: 100,
    scoreNow: 100,
  };
}

export function madeUpPlan(): Plan {
  const row = (site: string, outcome: 'applies' | 'off') => ({
    site,
    outcome,
    dataplane: 'nftables',
    enforcement: outcome === 'off' ? 'off' : 'on',
    workloads: outcome === 'off' ? [] : ['checkout'],
  });
  return {
    kind: 'Allowlist',
    name: 'payments',
    generation: 3,
    digest: 'd',
    effect: 'updated',
    stages: [
      {
        virtualSite: 'test',
        mode: 'enforce',
        sites: 3,
        byOutcome: { applies: 2, off: 1 },
        shown: [row('test-c', 'off'), row('test-a', 'applies'), row('test-b', 'applies')],
      },
    ],
    differences: [
      {
        mode: 'enforce',
        virtualSites: ['test'],
        sites: 2,
        examples: ['test-a', 'test-b'],
        dataplane: 'nftables',
        workloads: ['checkout'],
        lines: [
          '  chain "egress of checkout" { # user 1001',
          '+   ip daddr 203.0.113.0/24 tcp dport 443 counter "payments-api" accept',
        ],
        linesLeftOut: 1,
      },
    ],
    differencesLeftOut: 0,
    names: [{ host: 'api.payments.example', ports: ['443/TCP'], opens: 'it is enforced by address' }],
    overlaps: [{ policy: 'base', sites: 1, examples: ['test-a'], workloads: ['checkout'], busy: false }],
    violations: [],
    notes: ['exempt is only what the collector itself sends'],
  };
}
