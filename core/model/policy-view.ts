/*
 * What the hub's API answers about policies and their rollouts: the shapes that the CLI and the page share with it. Times are
 * epoch ms.
 */
import Type, { type Static } from 'typebox';
import { Reason, SiteEvidence, StageQuestion } from '../policy/evidence.ts';
import { Mode, Strategy } from './allowlist.ts';
import { Denied, PHASES } from './policy-report.ts';
import { ROLLOUT_PHASES, RolloutAct, StageStatus, Verdict } from './rollout.ts';
import { IntentKind } from './signed.ts';
import { Trouble } from './trouble.ts';

const Count = Type.Integer({ minimum: 0 });
const Moment = Type.Union([Type.Number(), Type.Null()]);

/** A rollout as lists and the live view show it. Its name is its policy's. */
export const RolloutView = Type.Object({
  kind: IntentKind,
  name: Type.String(),
  generation: Count,
  digest: Type.String(),
  phase: Type.Enum(ROLLOUT_PHASES),
  /** Why it is paused or rolled back; empty otherwise. */
  reason: Type.String(),
  /** Index of the stage it is at. */
  stage: Count,
  stages: Type.Array(StageStatus),
  startedAtMs: Type.Number(),
  updatedAtMs: Type.Number(),
  updatedBy: Type.String(),
});
export type RolloutView = Static<typeof RolloutView>;

export const RolloutPage = Type.Object({
  items: Type.Array(RolloutView),
  next: Type.Union([Type.String(), Type.Null()]),
});
export type RolloutPage = Static<typeof RolloutPage>;

/** A policy in a list. `rollout` is the phase of its rollout, `stage` where that is; null and empty when it has none yet. */
export const PolicyView = Type.Object({
  kind: IntentKind,
  name: Type.String(),
  generation: Count,
  digest: Type.String(),
  rules: Count,
  rollout: Type.Union([Type.Enum(ROLLOUT_PHASES), Type.Null()]),
  stage: Type.String(),
  /** What each virtual site was promoted to. */
  promoted: Type.Array(Type.Object({ virtualSite: Type.String(), generation: Count, mode: Mode })),
  updatedAtMs: Type.Number(),
  updatedBy: Type.String(),
});
export type PolicyView = Static<typeof PolicyView>;

export const PolicyPage = Type.Object({
  items: Type.Array(PolicyView),
  next: Type.Union([Type.String(), Type.Null()]),
});
export type PolicyPage = Static<typeof PolicyPage>;

/** New connections that a rule decided, those of the sites' own probes apart, and at how many sites there was any. */
export const RuleHits = Type.Object({
  generation: Count,
  rule: Type.String(),
  hits: Count,
  probeHits: Count,
  sites: Count,
});
export type RuleHits = Static<typeof RuleHits>;

/** What sites refuse (or, in audit mode, would refuse), over all of them. */
export const DeniedView = Type.Object({
  generation: Count,
  denied: Type.Omit(Denied, ['count']),
  count: Count,
  sites: Count,
  /** 3 of them. */
  examples: Type.Array(Type.String()),
});
export type DeniedView = Static<typeof DeniedView>;

/** Totals of each site's newest report of the last `windowMs`, added up. */
export const PolicyHits = Type.Object({
  kind: IntentKind,
  name: Type.String(),
  windowMs: Count,
  sites: Count,
  rules: Type.Array(RuleHits),
  /** Most unexpected first, 100 at most. */
  denied: Type.Array(DeniedView),
});
export type PolicyHits = Static<typeof PolicyHits>;

/** One site of a stage: what it was judged by at the newest evaluation, and what it says now. */
export const RolloutSite = Type.Object({
  site: Type.String(),
  /** Null before it was judged. */
  verdict: Type.Union([Verdict, Type.Null()]),
  reasons: Type.Array(Reason),
  /** As its newest report says; null when that says nothing of the policy. */
  phase: Type.Union([Type.Enum(PHASES), Type.Null()]),
  /** Why it is in that phase. */
  detail: Type.String(),
  generation: Count,
  live: Type.Boolean(),
  /** Since the stage began, as its verdict counted them. */
  hits: Count,
  unexpectedDenies: Count,
  /** The same by its newest report; null where that does not run what was judged, or nothing was yet. */
  now: Type.Union([Type.Object({ hits: Count, unexpectedDenies: Count }), Type.Null()]),
  /** It had it in force before the stage began, so that nothing shows how long that took. */
  hadItBefore: Type.Boolean(),
  /** How long it took until the change had effect, as it was judged: from the hub's commit to the first evidence. */
  effect: Type.Object({
    committedAtMs: Moment,
    deliveredAtMs: Moment,
    appliedAtMs: Moment,
    liveAtMs: Moment,
    firstHitAtMs: Moment,
    verifiedAtMs: Moment,
  }),
});
export type RolloutSite = Static<typeof RolloutSite>;

/** One rollout with the sites of one of its stages. */
export const RolloutDetail = Type.Object({
  rollout: RolloutView,
  strategy: Strategy,
  promoted: PolicyView.properties.promoted,
  failedDigests: Type.Array(Type.String()),
  /** Who did what with this generation, oldest first. */
  acts: Type.Array(RolloutAct),
  /** Which stage the rest is about. */
  stage: Count,
  /** Reports that had come by then are what its verdict, its counts, sites and rules are of; null before any evaluation. */
  judgedAtMs: Moment,
  /** Failed ones first, then what is inconclusive; 500 at most. */
  sites: Type.Array(RolloutSite),
  sitesLeftOut: Count,
  /** Of this stage, as its verdict counted them. */
  rules: Type.Array(RuleHits),
  /** By the newest reports of all sites that run the generation, and of those that it was taken back from. */
  denied: Type.Array(DeniedView),
  /** What is wrong with policy as a whole, so that the rollout may not go on; absent when nothing is. */
  troubles: Type.Optional(Type.Array(Trouble)),
});
export type RolloutDetail = Static<typeof RolloutDetail>;

/** A decision about a stage and all it rested on, as it was stored. */
export const StoredDecision = Type.Object({
  stageKey: Type.String(),
  generation: Count,
  /** Index of the stage in the strategy of that generation. */
  stage: Count,
  decidedAtMs: Type.Number(),
  verdict: Verdict,
  reasons: Type.Array(Type.String()),
  verifierVersion: Count,
  question: StageQuestion,
  sites: Type.Array(
    Type.Object({
      site: Type.String(),
      verdict: Verdict,
      reasons: Type.Array(Reason),
      evidence: Type.Union([SiteEvidence, Type.Null()]),
    }),
  ),
  /** Sites that the question was about and that are not listed: 5,000 at most are. */
  sitesLeftOut: Count,
  /**
   * Only when asked for: the verdict that the stored rows give now, and where it differs; or that reports which it rested on
   * were kept until a time that is over, so that none can be given.
   */
  recomputed: Type.Optional(
    Type.Union([
      Type.Object({
        outcome: Type.Literal('answered'),
        verdict: Verdict,
        isSame: Type.Boolean(),
        differences: Type.Array(Type.String()),
      }),
      Type.Object({ outcome: Type.Literal('expired'), keptUntilMs: Type.Number() }),
    ]),
  ),
});
export type StoredDecision = Static<typeof StoredDecision>;

/** The newest decision about each stage of one generation, newest first. */
export const RolloutEvidence = Type.Object({
  kind: IntentKind,
  name: Type.String(),
  generation: Count,
  /** Who did what with it, oldest first; empty when the policy is gone: then events have it. */
  acts: Type.Array(RolloutAct),
  decisions: Type.Array(StoredDecision),
});
export type RolloutEvidence = Static<typeof RolloutEvidence>;
