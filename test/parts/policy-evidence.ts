import type { SiteEvidence, StageQuestion } from '../../core/policy/evidence.ts';

const STARTED_MS = 1_760_000_000_000;

/** A stage of one site that has soaked: ten minutes at ten seconds, two rules of which one is new, a probe of each kind. */
export function question(part: Partial<StageQuestion> = {}): StageQuestion {
  return {
    kind: 'Allowlist',
    name: 'payments',
    stage: 0,
    generation: 42,
    digest: 'd'.repeat(43),
    mode: 'enforce',
    version: { epoch: 1, n: 7 },
    sites: ['jp-tokyo-1'],
    startedAtMs: STARTED_MS,
    decidedAtMs: STARTED_MS + 615_000,
    newRules: ['payments-api'],
    probes: ['api', 'canary'],
    soakMs: 600_000,
    minHits: 1,
    minHitsTotal: 20,
    maxUnexpectedDenies: 0,
    maxScoreDrop: 5,
    minConclusive: 0.8,
    maxFailures: 0,
    controlDrop: 0,
    ...part,
  };
}

export type Newest = NonNullable<SiteEvidence['newest']>;

export function newest(part: Partial<Newest> = {}): Newest {
  const probe = { workload: 'checkout', control: 'connected', atMs: STARTED_MS + 570_000 } as const;
  return {
    enforcement: 'on',
    seen: { epoch: 1, n: 7 },
    generation: 42,
    digest: 'd'.repeat(43),
    mode: 'enforce',
    phase: 'applied',
    reason: '',
    live: true,
    workloads: 1,
    counterEpoch: 0,
    rules: [
      { rule: 'payments-api', hits: 30, probeHits: 4 },
      { rule: 'ledger', hits: 12, probeHits: 0 },
    ],
    denies: 3,
    probeDenies: 4,
    unexpectedDenies: 0,
    denied: [],
    fullSets: 0,
    probes: [
      { ...probe, name: 'api', expect: 'allow', outcome: 'connected', denyMoved: false },
      { ...probe, name: 'canary', expect: 'deny', outcome: 'refused', denyMoved: true },
    ],
    established: { total: 0, some: [] },
    deliveredAtMs: STARTED_MS + 500,
    appliedAtMs: STARTED_MS + 1000,
    confirmedAtMs: STARTED_MS + 1500,
    firstHitAtMs: STARTED_MS + 2000,
    ...part,
  };
}

/** What a healthy site has to show for it. */
export function evidence(part: Partial<SiteEvidence> = {}): SiteEvidence {
  return {
    site: 'jp-tokyo-1',
    reports: 61,
    boots: 1,
    missing: 0,
    quarantined: 0,
    newestReceivedAtMs: STARTED_MS + 610_100,
    newestMadeAtMs: STARTED_MS + 610_000,
    intervalMs: 10_000,
    clockOffsetMs: 12,
    newest: newest(),
    ever: {
      notLive: 0,
      fullSets: 0,
      counterEpochs: 1,
      decreases: 0,
      lostObservations: 0,
      unexpectedDenies: 0,
    },
    hitsBefore: [],
    unexpectedBefore: 0,
    appliedSinceMs: STARTED_MS + 10_000,
    scoreBefore: 96,
    scoreNow: 95,
    ...part,
  };
}

export function ever(part: Partial<SiteEvidence['ever']>): Pick<SiteEvidence, 'ever'> {
  return { ever: { ...evidence().ever, ...part } };
}
