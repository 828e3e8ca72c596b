/*
 * What the hub's API answers: the shapes that the CLI and the page share with it. Times are epoch ms, ratios 0 to 1.
 */
import Type, { type Static, type TSchema } from 'typebox';
import { FleetEvent } from './event.ts';
import { RolloutView } from './policy-view.ts';
import { Link } from './report.ts';
import { ROLES } from './role.ts';
import { HEALTH_STATES } from './score.ts';
import { Labels, SiteId, SiteKind } from './site.ts';
import { Penalty } from './site-state.ts';
import { Trouble } from './trouble.ts';

/** `heard` is fresh. `silent` blames the site. `unheard` is not fresh, but the hub was not listening long enough to blame it. */
export const Freshness = Type.Union([Type.Literal('heard'), Type.Literal('silent'), Type.Literal('unheard')]);
export type Freshness = Static<typeof Freshness>;

const NullableNumber = Type.Union([Type.Number(), Type.Null()]);
const State = Type.Enum(HEALTH_STATES);
const Components = Type.Object({
  connectivity: Type.Optional(Type.Number()),
  reliability: Type.Optional(Type.Number()),
  security: Type.Optional(Type.Number()),
  performance: Type.Optional(Type.Number()),
});

/** A registered site as lists and the live view show it. */
export const SiteView = Type.Object({
  id: SiteId,
  kind: Type.Union([SiteKind, Type.Literal('unknown')]),
  simulated: Type.Boolean(),
  state: State,
  freshness: Freshness,
  /** Shown score; null when unknown. */
  score: NullableNumber,
  components: Components,
  /** The heaviest penalty in words, or why nothing is known; empty when all is well. */
  reason: Type.String(),
  /** Given labels as they are; discovered and proposed ones with their prefix. */
  labels: Labels,
  virtualSites: Type.Array(Type.String()),
  cpu: NullableNumber,
  memory: NullableNumber,
  disk: NullableNumber,
  links: Type.Object({ total: Type.Integer(), up: Type.Integer() }),
  /** When the hub last heard it; null when never. */
  receivedAtMs: NullableNumber,
  intervalMs: NullableNumber,
  version: Type.String(),
});
export type SiteView = Static<typeof SiteView>;

/** How a score came about; the arithmetic of DESIGN section 6, so that points add up to it. */
export const ScoreExplanation = Type.Object({
  site: SiteId,
  state: State,
  freshness: Freshness,
  score: NullableNumber,
  shown: NullableNumber,
  components: Type.Array(
    Type.Object({
      component: Type.String(),
      /** 100 less the points of its penalties, at least 0. */
      score: Type.Number(),
      weight: Type.Number(),
      penalties: Type.Array(Penalty),
    }),
  ),
  /** As "0.8 × 62 (connectivity, the lowest) + 0.2 × 78.4 (weighted mean) = 65". */
  arithmetic: Type.String(),
  caps: Type.Array(Type.String()),
  observedAtMs: NullableNumber,
});
export type ScoreExplanation = Static<typeof ScoreExplanation>;

/** One site in full: `report` is its newest report as it came (core/model/report.ts), null when there is none. */
export const SiteDetail = Type.Object({
  site: SiteView,
  explanation: ScoreExplanation,
  report: Type.Union([Type.Object({}, { additionalProperties: true }), Type.Null()]),
  ledger: Type.Union([Type.Object({}, { additionalProperties: true }), Type.Null()]),
  joinedAtMs: NullableNumber,
  createdAtMs: Type.Number(),
});
export type SiteDetail = Static<typeof SiteDetail>;

/** What is true of the registered members of a virtual site now. */
export const Rollup = Type.Object({
  members: Type.Integer(),
  byState: Type.Object({
    green: Type.Integer(),
    orange: Type.Integer(),
    red: Type.Integer(),
    unknown: Type.Integer(),
  }),
  /** Of the members whose score is known. */
  score: Type.Union([
    Type.Object({
      min: Type.Number(),
      p10: Type.Number(),
      p50: Type.Number(),
      p90: Type.Number(),
      mean: Type.Number(),
    }),
    Type.Null(),
  ]),
  worst: Type.Array(Type.Object({ site: SiteId, score: Type.Number(), reason: Type.String() }), {
    maxItems: 10,
  }),
  /** Sites by utilisation, 20 buckets of 5 points each, of those that are fresh and observe it. */
  cpuHistogram: Type.Array(Type.Integer(), { minItems: 20, maxItems: 20 }),
  memoryHistogram: Type.Array(Type.Integer(), { minItems: 20, maxItems: 20 }),
  linksUp: Type.Integer(),
  linksTotal: Type.Integer(),
});
export type Rollup = Static<typeof Rollup>;

export const VirtualSiteView = Type.Object({
  name: Type.String(),
  selector: Type.String(),
  guard: Type.Optional(Type.Object({}, { additionalProperties: true })),
  createdAtMs: Type.Number(),
  rollup: Rollup,
});
export type VirtualSiteView = Static<typeof VirtualSiteView>;

/** Where every report of a site is. `sent = stored + quarantined + pending + gaps + lost + missing` always holds. */
export const Ledger = Type.Object({
  site: SiteId,
  boots: Type.Integer(),
  sent: Type.Integer(),
  stored: Type.Integer(),
  quarantined: Type.Integer(),
  /** Still held at the site by its own word. */
  pending: Type.Integer(),
  /** Dropped by the site's bound, by its own word. */
  gaps: Type.Integer(),
  /** Handed over before the hub was restored from a backup, and not in that. */
  lost: Type.Integer(),
  /** Accounted for by nobody: what must be 0. */
  missing: Type.Integer(),
  /** Which, in words, 20 at most. */
  missingRanges: Type.Array(Type.String()),
});
export type Ledger = Static<typeof Ledger>;

/** What `plumbline doctor` prints. */
export const Diagnosis = Type.Object({
  healthy: Type.Boolean(),
  checks: Type.Array(
    Type.Object({
      name: Type.String(),
      status: Type.Union([Type.Literal('ok'), Type.Literal('warning'), Type.Literal('failed')]),
      detail: Type.String(),
      remedy: Type.Optional(Type.String()),
    }),
  ),
  totals: Type.Omit(Ledger, ['site', 'missingRanges']),
  sites: Type.Array(Ledger),
});
export type Diagnosis = Static<typeof Diagnosis>;

/** A page of a list. `next` is the cursor of the page after it (`?cursor=`), null on the last one. */
function page<T extends TSchema>(item: T) {
  return Type.Object({ items: Type.Array(item), next: Type.Union([Type.String(), Type.Null()]) });
}
export const SitePage = page(SiteView);
export type SitePage = Static<typeof SitePage>;
export const VirtualSitePage = page(VirtualSiteView);
export type VirtualSitePage = Static<typeof VirtualSitePage>;
/** Newest first. */
export const EventPage = page(FleetEvent);
export type EventPage = Static<typeof EventPage>;

/** Points in time order, `stepMs` apart; a step in which nothing was heard has no point. */
export const SiteHistory = Type.Object({
  site: SiteId,
  stepMs: Type.Integer(),
  points: Type.Array(
    Type.Object({
      atMs: Type.Number(),
      /** The lowest shown score of the step, and the largest utilisations. */
      score: NullableNumber,
      cpu: NullableNumber,
      memory: NullableNumber,
    }),
  ),
});
export type SiteHistory = Static<typeof SiteHistory>;

/** The links of a site's newest report, and each link minute by minute. Counts are of the minute; they never go back. */
export const SiteLinks = Type.Object({
  site: SiteId,
  observedAtMs: NullableNumber,
  links: Type.Array(Link),
  history: Type.Array(
    Type.Object({
      atMs: Type.Number(),
      name: Type.String(),
      /** False when the link was down at any time in the minute. */
      up: Type.Boolean(),
      requests: Type.Number(),
      losses: Type.Number(),
      errors: Type.Number(),
      /** The worst p90 of the minute; null when nothing answered. */
      p90Ms: NullableNumber,
    }),
  ),
});
export type SiteLinks = Static<typeof SiteLinks>;

/** How a virtual site's members were, step by step; each point is the newest counted minute of its step. */
export const VirtualSiteHistory = Type.Object({
  virtualSite: Type.String(),
  stepMs: Type.Integer(),
  points: Type.Array(
    Type.Object({
      atMs: Type.Number(),
      members: Type.Integer(),
      green: Type.Integer(),
      orange: Type.Integer(),
      red: Type.Integer(),
      unknown: Type.Integer(),
      scoreMin: NullableNumber,
      scoreMean: NullableNumber,
    }),
  ),
});
export type VirtualSiteHistory = Static<typeof VirtualSiteHistory>;

/** Scores and utilisations of the members, 20 buckets of 5 points each (the last one holds 100 too). */
export const Distribution = Type.Object({
  virtualSite: Type.String(),
  rollup: Rollup,
  scoreHistogram: Type.Array(Type.Integer(), { minItems: 20, maxItems: 20 }),
});
export type Distribution = Static<typeof Distribution>;

/** What `site add` gives: `command` is the one line to run at the site, with `token` in it. Neither can be shown again. */
export const SiteInvitation = Type.Object({
  site: SiteId,
  token: Type.String(),
  command: Type.String(),
  expiresAtMs: Type.Integer(),
  /** What limits it, as that it only works on the hub's own machine. */
  note: Type.Optional(Type.String()),
});
export type SiteInvitation = Static<typeof SiteInvitation>;

/** What a change did, to which resource, and what stays wrong though it was carried out. */
export const Applied = Type.Object({
  effect: Type.Enum(['created', 'updated', 'unchanged', 'deleted']),
  kind: Type.String(),
  name: Type.String(),
  warning: Type.Optional(Type.String()),
});
export type Applied = Static<typeof Applied>;

/** What a restore came to, in words. */
export const Restored = Type.Object({
  ...Applied.properties,
  detail: Type.String(),
});
export type Restored = Static<typeof Restored>;

const RoleName = Type.Enum(ROLES);

/** Who is asking, and until when a cookie session lasts (null for a bearer token). */
export const SessionView = Type.Object({ by: Type.String(), role: RoleName, expiresAtMs: NullableNumber });
export type SessionView = Static<typeof SessionView>;

/** Good once, until then. */
export const SignInLink = Type.Object({ url: Type.String(), expiresAtMs: Type.Number() });
export type SignInLink = Static<typeof SignInLink>;

/** Of the hub itself. `mode` is `embedded` (SQLite and ClickHouse in process) or `distributed`. */
export const HubInfo = Type.Object({
  version: Type.String(),
  mode: Type.Union([Type.Literal('embedded'), Type.Literal('distributed')]),
  nowMs: Type.Number(),
  caughtUp: Type.Boolean(),
  sites: Type.Integer(),
  virtualSites: Type.Integer(),
  /** What is wrong with policy as a whole. */
  troubles: Type.Array(Trouble),
});
export type HubInfo = Static<typeof HubInfo>;

/** Access of a person or program. `token` is there once only, in the answer to its creation. */
export const TokenView = Type.Object({
  name: Type.String(),
  role: RoleName,
  createdAtMs: Type.Number(),
  token: Type.Optional(Type.String()),
});
export type TokenView = Static<typeof TokenView>;
export const TokenPage = page(TokenView);
export type TokenPage = Static<typeof TokenPage>;

/** A request of /api/v1/join, and what the site keeps of the answer: its key is good until the hub raises the epoch. */
export const JoinRequest = Type.Object(
  {
    site: SiteId,
    secret: Type.String({ minLength: 16, maxLength: 128 }),
    /** Random id of the installation; the same one may ask again with the same secret. */
    instance: Type.String({ minLength: 8, maxLength: 64 }),
  },
  { additionalProperties: false },
);
export type JoinRequest = Static<typeof JoinRequest>;
export const JoinAnswer = Type.Object({
  site: SiteId,
  keyEpoch: Type.Integer({ minimum: 1 }),
  /** base64url of 32 bytes. */
  key: Type.String({ minLength: 43, maxLength: 43 }),
  hubTimeMs: Type.Integer(),
  /** The newest boot's number of any earlier installation of this site; 0 when there was none. */
  bootsBefore: Type.Integer({ minimum: 0 }),
});
export type JoinAnswer = Static<typeof JoinAnswer>;

/** Subscription and answers of WebSocket /api/v1/live. Text frames of JSON. */
export const LiveRequest = Type.Object(
  {
    type: Type.Literal('subscribe'),
    /** Both conditions hold when both are given. */
    filter: Type.Optional(
      Type.Object(
        { virtualSite: Type.Optional(Type.String()), selector: Type.Optional(Type.String()) },
        { additionalProperties: false },
      ),
    ),
  },
  { additionalProperties: false },
);
export type LiveRequest = Static<typeof LiveRequest>;

/** What the hub says of itself to whoever watches. `blind` is the last stretch in which it heard nobody, if in the last hour. */
export const HubView = Type.Object({
  version: Type.String(),
  nowMs: Type.Number(),
  caughtUp: Type.Boolean(),
  blind: Type.Union([Type.Object({ fromMs: Type.Number(), toMs: Type.Number() }), Type.Null()]),
  /** What is wrong with policy as a whole. */
  troubles: Type.Array(Trouble),
});
export type HubView = Static<typeof HubView>;

/**
 * A snapshot first, then deltas, each following the version before it: a client that sees `from` differ from its own
 * version missed something and subscribes again. At most 4 a second; a `pulse` at least every 5 s, so that silence means
 * the connection is gone.
 */
export const LiveMessage = Type.Union([
  Type.Object({
    type: Type.Literal('snapshot'),
    version: Type.Integer(),
    hub: HubView,
    rollup: Rollup,
    sites: Type.Array(SiteView),
    virtualSites: Type.Array(VirtualSiteView),
    /** Those on their way first, then the newest; 50 at most, with 2 reasons a stage. */
    rollouts: Type.Array(RolloutView),
  }),
  Type.Object({
    type: Type.Literal('delta'),
    from: Type.Integer(),
    version: Type.Integer(),
    hub: HubView,
    rollup: Rollup,
    upsert: Type.Array(SiteView),
    remove: Type.Array(SiteId),
    virtualSites: Type.Array(VirtualSiteView),
    rollouts: Type.Array(RolloutView),
  }),
  Type.Object({ type: Type.Literal('pulse'), version: Type.Integer(), hub: HubView }),
  Type.Object({ type: Type.Literal('error'), code: Type.String(), detail: Type.String() }),
]);
export type LiveMessage = Static<typeof LiveMessage>;
