import Type, { type Static } from 'typebox';
import { AllowlistSpec, Mode, Strategy } from './allowlist.ts';
import { resource, Timestamp } from './metadata.ts';
import { Assigned, IntentKind, Version } from './signed.ts';

const Count = Type.Integer({ minimum: 0 });
const Name = Type.String({ minLength: 1, maxLength: 63 });
const Moment = Type.Union([Timestamp, Type.Null()]);

/** An allowlist as it stands at the hub; `generation` counts its contents, `digest` is of `spec` as it is. */
export const Allowlist = resource(
  'Allowlist',
  Type.Object({
    spec: AllowlistSpec,
    rollout: Strategy,
    generation: Type.Integer({ minimum: 1 }),
    digest: Type.String(),
  }),
);
export type Allowlist = Static<typeof Allowlist>;

/** The four answers that evidence can give. Only `pass` lets anything go on. */
export const VERDICTS = ['pass', 'fail', 'inconclusive', 'not-applicable'] as const;
export const Verdict = Type.Enum(VERDICTS);
export type Verdict = Static<typeof Verdict>;

export const STAGE_PHASES = [
  'waiting',
  'rolling',
  'soaking',
  'passed',
  'failed',
  'rolled-back',
  'skipped',
] as const;
/** One stage of a rollout: `rolling` until every reachable site has applied, `soaking` until there is a verdict. */
export const StageStatus = Type.Object({
  virtualSite: Name,
  mode: Mode,
  phase: Type.Enum(STAGE_PHASES),
  startedAtMs: Moment,
  endedAtMs: Moment,
  /** The target version that began it: evidence counts from the reports that have seen it. */
  version: Type.Union([Version, Type.Null()]),
  verdict: Verdict,
  reasons: Type.Array(Type.String({ maxLength: 300 }), { maxItems: 16 }),
  counts: Type.Object({
    sites: Count,
    applied: Count,
    passed: Count,
    failed: Count,
    inconclusive: Count,
    notApplicable: Count,
  }),
  hits: Count,
  unexpectedDenies: Count,
  evaluatedAtMs: Moment,
});
export type StageStatus = Static<typeof StageStatus>;

export const ROLLOUT_PHASES = [
  'progressing',
  'awaiting-promotion',
  'paused',
  'rolled-back',
  'completed',
  'superseded',
] as const;
export type RolloutPhase = (typeof ROLLOUT_PHASES)[number];

/**
 * How one generation of a policy gets to its sites. Knows no kind's content: it moves generations and asks the kind for its
 * evidence. Named after its policy, `<kind in lower case>-<policy>`; there is one a policy, a newer generation takes it over.
 */
export const Rollout = resource(
  'Rollout',
  Type.Object({
    policy: Type.Object({ kind: IntentKind, name: Name }),
    generation: Type.Integer({ minimum: 1 }),
    digest: Type.String(),
    /** As it was when the rollout began. */
    strategy: Strategy,
    phase: Type.Enum(ROLLOUT_PHASES),
    /** Why it is paused, rolled back or superseded; empty otherwise. */
    reason: Type.String({ maxLength: 500 }),
    startedAtMs: Timestamp,
    /** Index into `stages`, which mirrors the strategy's. */
    stage: Count,
    stages: Type.Array(StageStatus, { minItems: 1, maxItems: 16 }),
    /** What each virtual site was promoted to last: what a rollback returns to. */
    promoted: Type.Array(Type.Object({ virtualSite: Name, assigned: Assigned })),
    /** The newest target that was written for the policy. */
    version: Version,
    /** Digests that failed, not applied again without `retry`. */
    failedDigests: Type.Array(Type.String(), { maxItems: 32 }),
  }),
);
export type Rollout = Static<typeof Rollout>;

export function rolloutName(kind: IntentKind, name: string): string {
  return `${kind.toLowerCase()}-${name}`;
}
