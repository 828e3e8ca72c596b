import Type, { type Static } from 'typebox';
import { MODES } from './allowlist.ts';
import { MAX_POLICIES_A_SITE, Version } from './signed.ts';
import { Labels } from './site.ts';

const Count = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });
const Name = Type.String({ minLength: 1, maxLength: 63 });
const Text = Type.String({ maxLength: 200 });
const Moment = Type.Union([Type.Integer({ minimum: 0, maximum: 8.64e15 }), Type.Null()]);

/**
 * Where a policy stands at a site.
 * `applying`: being applied or confirmed. `applied`: confirmed and in force. `refused`: not applied, and not tried again in
 * this content and mode before somebody asks for it; or not taken away, which is tried again after hours. `hub-away`: taken
 * back because the hub was away, as far as the site can tell; applied again when it can be reached. `not-applicable`: selects
 * no workload here. `off`: the site's owner has not turned enforcement on. `disarmed`: the owner let go. `orphaned`: in force,
 * but the hub no longer speaks of it. `withdrawn`: taken away because a target said so; its `reason` has the generation.
 */
export const PHASES = [
  'pending',
  'applying',
  'applied',
  'refused',
  'hub-away',
  'not-applicable',
  'off',
  'disarmed',
  'orphaned',
  'withdrawn',
] as const;
export type Phase = (typeof PHASES)[number];

/** A destination (egress) or source (ingress) that was refused; in audit mode, one that would have been. */
export const Denied = Type.Object({
  workload: Name,
  direction: Type.Enum(['egress', 'ingress']),
  address: Type.String({ maxLength: 45 }),
  port: Type.Integer({ minimum: 0, maximum: 65_535 }),
  protocol: Type.Enum(['TCP', 'UDP']),
  /** The name that was looked up for the address; absent when none is known. */
  name: Type.Optional(Type.String({ maxLength: 253 })),
  /** New connections refused since the generation was applied. */
  count: Count,
  /**
   * `unexpected`: the workload was let through there within the look-back. `removed`: it was, by a rule that this generation
   * took away on purpose, or only by what is in force no longer. `new`: never seen before, so that refusing it is the job.
   * `probe`: only the site's own probe.
   */
  kind: Type.Enum(['unexpected', 'removed', 'new', 'probe']),
});
export type Denied = Static<typeof Denied>;

export const ProbeResult = Type.Object({
  name: Name,
  workload: Name,
  expect: Type.Enum(['allow', 'deny']),
  /** What the workload's own identity met. */
  outcome: Type.Enum(['connected', 'refused', 'no-answer', 'unable']),
  /** Whether the same target answered somebody whom no policy holds back. */
  control: Type.Enum(['connected', 'no-answer', 'unable']),
  /** Whether this generation's deny counter of probes moved while the probe ran. */
  denyMoved: Type.Boolean(),
  atMs: Type.Integer({ minimum: 0 }),
  detail: Type.Optional(Text),
});
export type ProbeResult = Static<typeof ProbeResult>;

export const PolicyStatus = Type.Object({
  kind: Type.Enum(['Allowlist']),
  name: Name,
  /** The newest target that the site accepted. */
  seen: Version,
  /** What is in force (or, unless `applied`, on its way); 0 when nothing. */
  generation: Count,
  digest: Type.String({ maxLength: 43 }),
  mode: Type.Enum(MODES),
  phase: Type.Enum(PHASES),
  reason: Type.Optional(Text),
  /** The last read-back found exactly what was applied. */
  live: Type.Boolean(),
  /** Differences that the last read-back found; newest 4. */
  drift: Type.Optional(Type.Array(Text, { maxItems: 4 })),
  deliveredAtMs: Moment,
  appliedAtMs: Moment,
  confirmedAtMs: Moment,
  firstHitAtMs: Moment,
  /** Raised whenever counters began again at zero without a new generation. */
  counterEpoch: Count,
  /** Workloads that the policy selects here. */
  workloads: Count,
  /**
   * New connections decided by each rule since this generation was applied, those of the site's own probes apart. Where a
   * report would be too large, rules without any are left out, and are counted nowhere.
   */
  rules: Type.Array(Type.Object({ rule: Name, hits: Count, probeHits: Count }), { maxItems: 400 }),
  /** Rules with hits, and results of probes, for which the report had no room. */
  rulesLeftOut: Type.Optional(Count),
  probesLeftOut: Type.Optional(Count),
  denies: Count,
  probeDenies: Count,
  unexpectedDenies: Count,
  denied: Type.Array(Denied, { maxItems: 16 }),
  /** Bounded sets that were full, so that destinations are missing. */
  fullSets: Count,
  /** Of 16 probes at each of 64 workloads. */
  probes: Type.Array(ProbeResult, { maxItems: 1024 }),
  /** Connections from before this generation that it would deny: how many, and some of them. */
  established: Type.Object({
    total: Count,
    some: Type.Array(Type.String({ maxLength: 120 }), { maxItems: 8 }),
  }),
});
export type PolicyStatus = Static<typeof PolicyStatus>;

/** A destination that a workload was let through to, with its total since `since` epoch. What replay runs on. */
export const Flow = Type.Object({
  workload: Name,
  direction: Type.Enum(['egress', 'ingress']),
  address: Type.String({ maxLength: 45 }),
  name: Type.Optional(Type.String({ maxLength: 253 })),
  port: Type.Integer({ minimum: 0, maximum: 65_535 }),
  protocol: Type.Enum(['TCP', 'UDP']),
  verdict: Type.Enum(['allowed', 'denied']),
  connections: Count,
});
export type Flow = Static<typeof Flow>;

/** The code of a change that was taken back because the hub was away, among `refusals`. */
export const TAKEN_BACK = 'hub-away';

/** All that a site has, and as many again as it says of newest that there is no room for. */
export const MOST_POLICIES_REPORTED = MAX_POLICIES_A_SITE + 8;

/** The policy part of a report. */
export const PolicyReport = Type.Object({
  enforcement: Type.Enum(['off', 'on', 'disarmed']),
  /** The labels that the site works out its targets with. */
  labelsSeen: Type.Union([Version, Type.Null()]),
  /** The keys whose documents the site believes; null while it believes the first it hears. Older collectors don't say. */
  keyring: Type.Optional(
    Type.Union([Type.Object({ version: Version, ids: Type.Array(Name, { maxItems: 8 }) }), Type.Null()]),
  ),
  dataplane: Type.Enum(['nftables', 'simulated', 'none']),
  /** What the site's owner said a workload is, for plans; the site controls it. */
  workloads: Type.Array(
    Type.Object({
      name: Name,
      binding: Type.Enum(['user', 'interface']),
      /** The user's number, or the interface's name. */
      boundTo: Type.Optional(Name),
      labels: Labels,
    }),
    { maxItems: 64 },
  ),
  policies: Type.Array(PolicyStatus, { maxItems: MOST_POLICIES_REPORTED }),
  /** Changes since the last report first; at most 64, with how many were left out. */
  flows: Type.Array(Flow, { maxItems: 64 }),
  flowsLeftOut: Count,
  /** Documents and changes that the site refused or took back, newest 8, each until eight newer ones came. */
  refusals: Type.Array(
    Type.Object({
      atMs: Type.Integer({ minimum: 0 }),
      key: Type.String({ maxLength: 160 }),
      code: Name,
      detail: Text,
    }),
    { maxItems: 8 },
  ),
});
export type PolicyReport = Static<typeof PolicyReport>;
