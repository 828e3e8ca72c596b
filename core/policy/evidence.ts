import Type, { type Static } from 'typebox';
import { MODES } from '../model/allowlist.ts';
import { Denied, PHASES, ProbeResult } from '../model/policy-report.ts';
import { Verdict } from '../model/rollout.ts';
import { Version } from '../model/signed.ts';

/** Raised with every change of what a verdict means, so that a stored decision says by which rules it was made. */
export const VERIFIER_VERSION = 1;

const Count = Type.Integer({ minimum: 0 });
const Moment = Type.Union([Type.Integer(), Type.Null()]);

/**
 * What is recorded of one site about one stage, from its reports with `received_at` in (started, decided]. `null` in
 * `newest`: no report of it said anything about the policy.
 */
export const SiteEvidence = Type.Object({
  site: Type.String(),
  /** Reports of the range that have seen the stage's target, and boots they came from. */
  reports: Count,
  boots: Count,
  /** Sequence numbers between the first and the last of them that are in no report stored: gaps and what is still pending. */
  missing: Count,
  /** Reports that went to quarantine in the range. */
  quarantined: Count,
  /** Of the newest by boot and number: when the hub had it, and when the site made it. Both have to be fresh. */
  newestReceivedAtMs: Moment,
  newestMadeAtMs: Moment,
  intervalMs: Count,
  /** Largest distance of the site's clock from the hub's; null when it never said. */
  clockOffsetMs: Type.Union([Count, Type.Null()]),
  /** The newest report's standing. */
  newest: Type.Union([
    Type.Object({
      enforcement: Type.Enum(['off', 'on', 'disarmed']),
      seen: Version,
      generation: Count,
      digest: Type.String(),
      mode: Type.Enum(MODES),
      phase: Type.Enum(PHASES),
      reason: Type.String(),
      live: Type.Boolean(),
      workloads: Count,
      counterEpoch: Count,
      rules: Type.Array(Type.Object({ rule: Type.String(), hits: Count, probeHits: Count })),
      rulesLeftOut: Type.Optional(Count),
      probesLeftOut: Type.Optional(Count),
      denies: Count,
      probeDenies: Count,
      unexpectedDenies: Count,
      denied: Type.Array(Denied),
      fullSets: Count,
      probes: Type.Array(ProbeResult),
      established: Type.Object({ total: Count, some: Type.Array(Type.String()) }),
      deliveredAtMs: Moment,
      appliedAtMs: Moment,
      confirmedAtMs: Moment,
      firstHitAtMs: Moment,
    }),
    Type.Null(),
  ]),
  /** Over all reports of the range since the site first had it applied: whether any of them said otherwise. */
  ever: Type.Object({
    notLive: Count,
    fullSets: Count,
    counterEpochs: Count,
    /** A counter that was smaller than in the report before. */
    decreases: Count,
    /** Those that the site's probes lost, and one for each report that said nothing of the policy. */
    lostObservations: Count,
    /** The largest that any report gave, should a later one have begun again. */
    unexpectedDenies: Count,
  }),
  /**
   * What the hit counters stood at when the stage had it applied, where they went on from an earlier stage of the same
   * generation, or nobody can tell that they did not: what came before is no proof. Empty where they began at zero.
   */
  hitsBefore: Type.Array(Type.Object({ rule: Type.String(), hits: Count })),
  /** The same of unexpected denies, by the last report before the stage, so that none of its own is left out. */
  unexpectedBefore: Count,
  /** When its first report came that had the stage's generation applied and live; the soak counts from it. */
  appliedSinceMs: Moment,
  /** Median score of the ten minutes before the stage, and of the newest six reports. */
  scoreBefore: Type.Union([Type.Number(), Type.Null()]),
  scoreNow: Type.Union([Type.Number(), Type.Null()]),
});
export type SiteEvidence = Static<typeof SiteEvidence>;

/** A reason is a stable code and a sentence for a person. */
export const Reason = Type.Object({ code: Type.String(), text: Type.String() });
export type Reason = Static<typeof Reason>;

export const SiteVerdict = Type.Object({
  site: Type.String(),
  verdict: Verdict,
  reasons: Type.Array(Reason),
});
export type SiteVerdict = Static<typeof SiteVerdict>;

/** What is asked about a stage: with it and the rows received until `decidedAtMs` the same verdict comes out again. */
export const StageQuestion = Type.Object({
  kind: Type.Enum(['Allowlist']),
  name: Type.String(),
  /** Its index in the strategy. */
  stage: Count,
  generation: Count,
  digest: Type.String(),
  mode: Type.Enum(MODES),
  version: Version,
  /** Every site the stage is about, members of earlier stages left out. */
  sites: Type.Array(Type.String()),
  startedAtMs: Type.Integer(),
  decidedAtMs: Type.Integer(),
  /** Rules that are new in this generation, each of which must be hit. */
  newRules: Type.Array(Type.String()),
  probes: Type.Array(Type.String()),
  /** Those over UDP, of which silence tells nothing. Older questions did not say, and took it for a refusal. */
  probesOverUdp: Type.Optional(Type.Array(Type.String())),
  soakMs: Count,
  minHits: Count,
  minHitsTotal: Count,
  maxUnexpectedDenies: Count,
  maxScoreDrop: Count,
  minConclusive: Type.Number(),
  maxFailures: Count,
  /** Mean score drop of registered sites that the stage is not about; null when there are none. */
  controlDrop: Type.Union([Type.Number(), Type.Null()]),
});
export type StageQuestion = Static<typeof StageQuestion>;

export const StageVerdict = Type.Object({
  verdict: Verdict,
  reasons: Type.Array(Reason),
  sites: Type.Array(SiteVerdict),
  hits: Count,
  unexpectedDenies: Count,
});
export type StageVerdict = Static<typeof StageVerdict>;
