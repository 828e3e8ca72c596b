import Type, { type Static } from 'typebox';
import { Mode } from './allowlist.ts';
import { MOST_POLICIES_REPORTED, PHASES } from './policy-report.ts';
import { DroppedRange } from './report.ts';
import { COMPONENTS } from './score.ts';
import { IntentKind, Version } from './signed.ts';
import { BootId, Labels, SiteId, SiteKind } from './site.ts';

const Score = Type.Integer({ minimum: 0, maximum: 100 });
const EpochMs = Type.Integer({ minimum: 0 });

/** One named reason for lost points, with the observation behind it and since when it holds. */
export const Penalty = Type.Object({
  component: Type.Enum(COMPONENTS),
  /** Stable name of the kind of penalty, as `link-loss`. */
  id: Type.String(),
  /** What it is about, as a link's or a mount's name; empty when about the site. */
  subject: Type.String(),
  points: Type.Number({ exclusiveMinimum: 0, maximum: 100 }),
  /** The observation in words, as "31% of requests lost (19 of 61)". */
  observed: Type.String(),
  sinceMs: EpochMs,
});
export type Penalty = Static<typeof Penalty>;

/**
 * What the newest live report said of a site: the value of table `state`, keyed by site, which live views and control
 * read. It never moves to an older identity. Whether it is still fresh is judged by core/freshness.ts, not stored.
 */
export const SiteState = Type.Object({
  site: SiteId,
  kind: SiteKind,
  boot: BootId,
  seq: Type.Integer(),
  payloadHash: Type.String(),
  ts: EpochMs,
  receivedAtMs: EpochMs,
  intervalMs: Type.Integer(),
  clockOffsetMs: Type.Union([Type.Integer(), Type.Null()]),
  version: Type.String(),
  /** Null when nothing was observed that could be scored. `score` is for comparisons, `shown` is capped for display. */
  score: Type.Union([Score, Type.Null()]),
  shown: Type.Union([Score, Type.Null()]),
  /** Why `shown` or `score` can't be higher, as "all links are down"; also when penalties keep them lower anyway. */
  caps: Type.Array(Type.String()),
  components: Type.Partial(
    Type.Object({ connectivity: Score, reliability: Score, security: Score, performance: Score }),
  ),
  /** Heaviest first, 24 at most. */
  penalties: Type.Array(Penalty),
  /** Utilisations from 0 to 1, null when not observed. `disk` is the fullest one. */
  cpu: Type.Union([Type.Number(), Type.Null()]),
  memory: Type.Union([Type.Number(), Type.Null()]),
  disk: Type.Union([Type.Number(), Type.Null()]),
  links: Type.Object({ total: Type.Integer(), up: Type.Integer() }),
  /** Since when a declared probe fails or loses data; null while all is well. */
  probesFailingSinceMs: Type.Union([EpochMs, Type.Null()]),
  /** When a declared probe last lost data; its cap on `shown` lasts three intervals. */
  probesLostAtMs: Type.Union([EpochMs, Type.Null()]),
  /** What its newest report says its spool dropped, so that each range is told once; absent when nothing. */
  dropped: Type.Optional(Type.Array(DroppedRange)),
  /** Whether the site's owner lets policies be enforced; absent when its newest report says nothing of policies. */
  enforcement: Type.Optional(Type.Enum(['off', 'on', 'disarmed'])),
  /** The newest refusal of a document that was told, by the site's time, so that each is told once. */
  refusalsToldMs: Type.Optional(EpochMs),
  /** The newest labels and keys that its newest report says it has from its hub. */
  labelsSeen: Type.Optional(Version),
  keyring: Type.Optional(Type.Object({ version: Version, ids: Type.Array(Type.String(), { maxItems: 8 }) })),
  /** Where each policy stands, as its newest report says; absent when it says nothing of policies. */
  policies: Type.Optional(
    Type.Array(
      Type.Object({
        kind: IntentKind,
        name: Type.String(),
        seen: Version,
        generation: Type.Integer({ minimum: 0 }),
        digest: Type.String(),
        mode: Mode,
        phase: Type.Enum(PHASES),
        live: Type.Boolean(),
        unexpectedDenies: Type.Integer({ minimum: 0 }),
      }),
      { maxItems: MOST_POLICIES_REPORTED },
    ),
  ),
  discovered: Labels,
  proposed: Type.Optional(Labels),
});
export type SiteState = Static<typeof SiteState>;
