import Type, { type Static } from 'typebox';
import { AllowlistSpec, Mode, Stage, Strategy } from './allowlist.ts';
import { FleetEvent } from './event.ts';
import { resource, Timestamp } from './metadata.ts';
import { ROLES } from './role.ts';
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

const STAGE_PHASES = ['waiting', 'rolling', 'soaking', 'passed', 'failed', 'rolled-back', 'skipped'] as const;
/** One stage of a rollout: `rolling` until every reachable site has applied, `soaking` until there is a verdict. */
export const StageStatus = Type.Object({
  virtualSite: Name,
  mode: Mode,
  phase: Type.Enum(STAGE_PHASES),
  startedAtMs: Moment,
  endedAtMs: Moment,
  /** When it is paused if nothing comes of it; set anew when it is resumed. */
  deadlineAtMs: Moment,
  /** The target version that began it: evidence counts from the reports that have seen it. */
  version: Type.Union([Version, Type.Null()]),
  /** What its sites are assigned as `attempt`: a retry raises it for this stage and those after it, and nothing else does. */
  attempt: Version,
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

/**
 * The stage by which a virtual site was promoted to what it runs: sites that come later are judged by the same, also while a
 * newer generation is on its way. Nobody knows it of what was taken from a published target.
 */
const PassedStage = Type.Object({
  /** Its index in the strategy of that generation. */
  stage: Count,
  plan: Stage,
  version: Version,
  startedAtMs: Timestamp,
  endedAtMs: Timestamp,
  /** What the virtual site ran before; null when nothing. */
  base: Type.Union([Count, Type.Null()]),
});

export const ROLLOUT_PHASES = [
  'progressing',
  'awaiting-promotion',
  'paused',
  'rolled-back',
  'completed',
] as const;
export type RolloutPhase = (typeof ROLLOUT_PHASES)[number];

/** What a person can have done with a rollout. */
export const ROLLOUT_ACTIONS = ['promote', 'pause', 'resume', 'rollback', 'retry'] as const;
export type RolloutAction = (typeof ROLLOUT_ACTIONS)[number];

/** Something that was done with a rollout, and by whom: what a change ticket asks for. */
export const RolloutAct = Type.Object({
  /** `apply` began the generation, or began it anew by another strategy. */
  act: Type.Enum(['apply', ...ROLLOUT_ACTIONS]),
  atMs: Timestamp,
  /** Empty when the hub did it by itself; then `why` says what for. */
  by: Type.String(),
  role: Type.Union([Type.Enum(ROLES), Type.Null()]),
  generation: Type.Integer({ minimum: 1 }),
  /** Index of the stage it was done with: of a promotion the one that it began. */
  stage: Count,
  virtualSite: Name,
  mode: Mode,
  /** A guard asks for approval there, and this gave it. */
  isApproval: Type.Boolean(),
  why: Type.String({ maxLength: 300 }),
});
export type RolloutAct = Static<typeof RolloutAct>;
/** So many are kept, the newest; events have the others. */
export const MOST_ACTS = 64;
/** So many failed digests are kept, the newest; an older one can be applied again like one that never failed. */
export const MOST_FAILED_DIGESTS = 32;

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
    /** Why it is paused or rolled back; empty otherwise. */
    reason: Type.String({ maxLength: 500 }),
    startedAtMs: Timestamp,
    /** Index into `stages`, which mirrors the strategy's. */
    stage: Count,
    stages: Type.Array(StageStatus, { minItems: 1, maxItems: 16 }),
    /** What each virtual site was promoted to last: what a rollback returns to. */
    promoted: Type.Array(
      Type.Object({ virtualSite: Name, assigned: Assigned, passed: Type.Optional(PassedStage) }),
    ),
    /** What each virtual site ran when the rollout began: rules that are not in it are new. */
    base: Type.Array(Type.Object({ virtualSite: Name, generation: Count })),
    /** Which sites of the stage that is on its way have it: those whose hash is below, of 65536. */
    threshold: Type.Integer({ minimum: 0, maximum: 65_536 }),
    /** Who applied this generation, or changed how it is rolled out: none of them approves it. */
    authors: Type.Array(Type.String(), { maxItems: 64 }),
    /** Who did what, oldest first; also of earlier generations, as far back as there is room. */
    acts: Type.Array(RolloutAct, { maxItems: MOST_ACTS }),
    /** Older ones that there was no room for. */
    actsLeftOut: Count,
    /** The newest target that was decided on for the policy; it is written right after. */
    version: Version,
    /** Digests that failed, oldest first: not applied again without a retry. */
    failedDigests: Type.Array(Type.String(), { maxItems: MOST_FAILED_DIGESTS }),
    /** What was told of its newest change that was nobody's command, and is told again after a kill. */
    events: Type.Array(FleetEvent, { maxItems: 8 }),
  }),
  // As long as its policy's may be, and the kind before it.
  Type.String({ pattern: '^[a-z]+-[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$' }),
);
export type Rollout = Static<typeof Rollout>;

export function rolloutName(kind: IntentKind, name: string): string {
  return `${kind.toLowerCase()}-${name}`;
}
