import Type, { type Static } from 'typebox';
import { AllowlistDocument } from './allowlist.ts';
import { EVENT_KINDS } from './event.ts';
import { API_VERSION, LabelSelector, ResourceName, Revision, resource, Timestamp } from './metadata.ts';
import { ROLES } from './role.ts';
import { Allowlist, ROLLOUT_ACTIONS, Rollout } from './rollout.ts';
import { IntentKind, KeysBody } from './signed.ts';
import { Labels, SITE_ID_PATTERN, SiteId, SiteKind } from './site.ts';
import { ToldTrouble, Trouble } from './trouble.ts';

/** A registered site. `labels` are the given ones, the authority for policy. */
export const Site = resource(
  'Site',
  Type.Object({
    kind: Type.Optional(SiteKind),
    labels: Labels,
    /** Since when `labels` are what they are: membership of a past minute never reaches back before it. */
    labelsSinceMs: Timestamp,
    location: Type.Optional(
      Type.Object({
        latitude: Type.Number({ minimum: -90, maximum: 90 }),
        longitude: Type.Number({ minimum: -180, maximum: 180 }),
      }),
    ),
    /** Raised to make every key the site holds worthless. */
    keyEpoch: Type.Integer({ minimum: 1 }),
    /** How long the newest report may be old before the site is silent; three intervals when absent. */
    offlineToleranceMs: Type.Optional(Type.Integer({ minimum: 1000 })),
    /** The one invitation that is open or was used: SHA-256 of its secret, who took it (the collector's instance id). */
    join: Type.Optional(
      Type.Object({
        secretHash: Type.String(),
        expiresAtMs: Timestamp,
        instance: Type.Optional(Type.String()),
        joinedAtMs: Type.Optional(Timestamp),
      }),
    ),
  }),
);
export type Site = Static<typeof Site>;

/** What an author may write of a virtual site; `guard` is its administrator's. */
export const VirtualSiteSpec = Type.Object(
  {
    selector: LabelSelector,
    guard: Type.Optional(
      Type.Object(
        {
          approval: Type.Optional(Type.Union([Type.Literal('required'), Type.Literal('none')])),
          minSoak: Type.Optional(Type.String({ pattern: '^[0-9]+(s|m|h|d)$' })),
          forbidden: Type.Optional(Type.Array(Type.String(), { maxItems: 256 })),
          widestCidr: Type.Optional(Type.Integer({ minimum: 0, maximum: 128 })),
        },
        { additionalProperties: false },
      ),
    ),
  },
  { additionalProperties: false },
);
export type VirtualSiteSpec = Static<typeof VirtualSiteSpec>;

export const VirtualSite = resource('VirtualSite', VirtualSiteSpec);
export type VirtualSite = Static<typeof VirtualSite>;

/** A document as a person writes it: a resource whose metadata is only a name. */
export const VirtualSiteDocument = Type.Object(
  {
    apiVersion: Type.Literal(API_VERSION),
    kind: Type.Literal('VirtualSite'),
    metadata: Type.Object({ name: ResourceName }, { additionalProperties: false }),
    spec: VirtualSiteSpec,
  },
  { additionalProperties: false },
);
export type VirtualSiteDocument = Static<typeof VirtualSiteDocument>;

/** A person's or program's access: the SHA-256 of a bearer token and what it may do. */
export const Token = resource('Token', Type.Object({ role: Type.Enum(ROLES), tokenHash: Type.String() }));
export type Token = Static<typeof Token>;

/**
 * What control remembers of itself. `aliveAtMs` is written every few seconds, so that the next owner knows how long
 * nobody watched; `blind` is the last such stretch; `census` is how far minutes were counted (epoch ms, exclusive).
 */
export const HubStatus = resource(
  'HubStatus',
  Type.Object({
    aliveAtMs: Timestamp,
    blind: Type.Union([Type.Object({ fromMs: Timestamp, toMs: Timestamp }), Type.Null()]),
    census: Type.Object({ minutesThroughMs: Timestamp, dirtyThroughMs: Timestamp }),
    /** What is wrong with policy as a whole; absent in what versions before 0.2 wrote. */
    troubles: Type.Optional(Type.Array(Trouble)),
    /** What events say of such troubles so far. */
    told: Type.Optional(Type.Array(ToldTrouble)),
  }),
);
export type HubStatus = Static<typeof HubStatus>;

/**
 * By site of which reports were missing when the hub was restored, its newest boot then and the first number of that which
 * the hub had not heard of: what is missing below it is lost by the restore, for good.
 */
const HandedOver = Type.Record(
  Type.String(),
  Type.Object({ boot: Type.String(), seq: Type.Integer({ minimum: 1 }) }),
);
export type HandedOver = Static<typeof HandedOver>;

/**
 * By whose authority documents are signed: the epoch of their versions, and the keys that sites are to trust, the one that
 * signs last. The private keys are in the hub's data directory. There is one, named `hub`.
 */
export const Issuer = resource(
  'Issuer',
  Type.Object({
    epoch: Type.Integer({ minimum: 1 }),
    keys: KeysBody.properties.keys,
    /** How many keys there were in all, and how many of the newest count; the data directory follows. */
    keysMade: Type.Integer({ minimum: 1 }),
    keysKept: Type.Integer({ minimum: 1 }),
    /** Per `<kind>/<name>`, what sites were found to have when the hub was restored: later generations are numbered above it. */
    generationsAbove: Type.Record(Type.String(), Type.Integer({ minimum: 0 })),
    /** Policies, as `<kind>/<name>`, whose deletion is decided and not published yet. No other is ever withdrawn. */
    withdrawn: Type.Optional(Type.Array(Type.String())),
    /** Policies that were published or at sites, and were gone here, when the hub was restored: they are left as they are. */
    disowned: Type.Optional(Type.Array(Type.String(), { maxItems: 4096 })),
    /** When the hub was restored last: what sites had handed over before may not be in its tables. */
    restoredAtMs: Type.Optional(Timestamp),
    handedOver: Type.Optional(HandedOver),
  }),
);
export type Issuer = Static<typeof Issuer>;

/** Fields at fault that one refusal names at most. */
export const MOST_ERRORS = 64;

/** What became of a command, kept until the newest 1,000 push it out. */
export const CommandResult = resource(
  'CommandResult',
  Type.Object({
    ok: Type.Boolean(),
    /** A code of core/problem.ts when refused. */
    code: Type.Optional(Type.String()),
    /** Why it was refused, or what it came to where its effect does not say it. */
    detail: Type.Optional(Type.String()),
    /** What stays wrong though it was carried out. */
    warning: Type.Optional(Type.String()),
    /** JSON pointer to the field of the document that is at fault, when it is one. */
    pointer: Type.Optional(Type.String()),
    /** Every field at fault, that one too, where more than one may be. */
    errors: Type.Optional(
      Type.Array(Type.Object({ pointer: Type.String(), detail: Type.String() }), { maxItems: MOST_ERRORS }),
    ),
    /** What the resource is after the command; absent when there is none (any more). */
    stands: Type.Optional(Revision),
    /** Whether anything changed: applying the same document twice is `unchanged`. */
    effect: Type.Optional(Type.Enum(['created', 'updated', 'unchanged', 'deleted'])),
    /** What it did that an event tells, when its kind and effect don't say it. */
    told: Type.Optional(
      Type.Array(
        Type.Object({ kind: Type.Enum(EVENT_KINDS), virtualSite: Type.String(), message: Type.String() }),
        { maxItems: 8 },
      ),
    ),
  }),
);
export type CommandResult = Static<typeof CommandResult>;

export const Resource = Type.Union([
  Site,
  VirtualSite,
  Token,
  HubStatus,
  CommandResult,
  Allowlist,
  Rollout,
  Issuer,
]);
export type Resource = Static<typeof Resource>;

/** Key of a resource in table `resources`. */
export function resourceKey(kind: Resource['kind'], name: string): string {
  return `${kind}/${name}`;
}

/** As what a change is asked for: in a person's or program's role, or as the site that joins. */
const ASKING = [...ROLES, 'site'] as const;

/** A change that someone asks control for, as it stands in log `commands`. Control decides what `role` may. */
export const Command = Type.Object({
  id: Type.String({ pattern: SITE_ID_PATTERN }),
  by: Type.String(),
  /** Absent only in what versions before 0.2 wrote, which control refuses unless it has answered it already. */
  role: Type.Optional(Type.Enum(ASKING)),
  /** What the change is meant for; control refuses it when the resource is at another revision, another one, or gone. */
  expected: Type.Optional(Revision),
  atMs: Timestamp,
  do: Type.Union([
    Type.Object({
      verb: Type.Literal('apply'),
      document: Type.Union([VirtualSiteDocument, AllowlistDocument]),
      /** Also when the allowlist's content failed before. */
      retry: Type.Optional(Type.Boolean()),
    }),
    Type.Object({
      verb: Type.Literal('delete'),
      kind: Type.Enum(['VirtualSite', 'Site', 'Token', 'Allowlist']),
      name: ResourceName,
    }),
    /** `kind` and `name` are the policy's. Its key on the log is the policy's, so that it keeps its order with `apply`. */
    Type.Object({
      verb: Type.Literal('rollout'),
      action: Type.Enum(ROLLOUT_ACTIONS),
      kind: IntentKind,
      name: ResourceName,
    }),
    /** A new key signs from now on. The one before still counts, unless it is revoked. Key on the log: the issuer's. */
    Type.Object({ verb: Type.Literal('keys.rotate'), revoke: Type.Optional(Type.Boolean()) }),
    /**
     * After the hub came back from a backup: raises the epoch when sites are ahead of it, so that they follow again, and takes
     * note of the time. `missing` is how many reports are accounted for by nobody, as whoever asks found.
     */
    Type.Object({
      verb: Type.Literal('hub.restore'),
      missing: Type.Optional(Type.Integer({ minimum: 0 })),
      handedOver: Type.Optional(HandedOver),
    }),
    Type.Object({
      verb: Type.Literal('site.add'),
      site: SiteId,
      labels: Labels,
      kind: Type.Optional(SiteKind),
      joinSecretHash: Type.String(),
      joinExpiresAtMs: Timestamp,
      /** True for a new invitation to a site that exists already. */
      renew: Type.Boolean(),
    }),
    Type.Object({
      verb: Type.Literal('site.label'),
      site: SiteId,
      /** What changes: set what is named, null takes a label away, the rest stays (RFC 7396). */
      labels: Type.Record(Type.String(), Type.Union([Type.String(), Type.Null()])),
    }),
    Type.Object({
      verb: Type.Literal('site.join'),
      site: SiteId,
      secretHash: Type.String(),
      instance: Type.String({ maxLength: 64 }),
    }),
    Type.Object({
      verb: Type.Literal('token.create'),
      name: ResourceName,
      role: Type.Enum(ROLES),
      tokenHash: Type.String(),
    }),
  ]),
});
export type Command = Static<typeof Command>;
