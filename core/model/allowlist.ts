import Type, { type Static } from 'typebox';
import { API_VERSION, LabelSelector, ResourceName } from './metadata.ts';

/** A port or a range of them with its protocol, as `443/TCP` or `8000-8100/UDP`. */
const Ports = Type.Array(Type.String({ pattern: '^[0-9]{1,5}(-[0-9]{1,5})?/(TCP|UDP)$' }), {
  minItems: 1,
  maxItems: 16,
});
/** Of a rule; unique in its direction. */
const RuleName = Type.String({ pattern: '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$' });
const Cidr = Type.String({ minLength: 3, maxLength: 49 });

/** A network, less the networks in `except` (which lie in it). */
const Network = Type.Object(
  { cidr: Cidr, except: Type.Optional(Type.Array(Cidr, { maxItems: 32 })), ports: Ports },
  { additionalProperties: false },
);
/** A name to look up and the ports that are opened at whatever addresses it has. */
const Host = Type.Object(
  { host: Type.String({ minLength: 1, maxLength: 253 }), ports: Ports },
  { additionalProperties: false },
);
/** Scheme, host and port: `https://api.example`, `http://api.example:8080`, `tcp://db.example:5432`, `udp://ntp.example:123`. */
const Url = Type.String({ minLength: 1, maxLength: 300, title: 'a URL' });

/** One named set of destinations that new connections may go to. */
export const EgressRule = Type.Object(
  { name: RuleName, to: Type.Array(Type.Union([Url, Network, Host]), { minItems: 1, maxItems: 64 }) },
  { additionalProperties: false },
);
export type EgressRule = Static<typeof EgressRule>;

/** One named set of sources that new connections may come from, and the workload's own ports they may go to. */
export const IngressRule = Type.Object(
  { name: RuleName, from: Type.Array(Network, { minItems: 1, maxItems: 64 }) },
  { additionalProperties: false },
);
export type IngressRule = Static<typeof IngressRule>;

/**
 * Enforcement content: what the digest covers. A direction that is there isolates that direction of the workloads it
 * selects (`egress: []` denies all); one that is absent leaves it alone. An empty `workloads` selector is every workload.
 */
export const AllowlistSpec = Type.Object(
  {
    /** On Kubernetes: which namespaces. Hosts have none and ignore it. */
    namespaces: Type.Optional(LabelSelector),
    workloads: LabelSelector,
    egress: Type.Optional(Type.Array(EgressRule, { maxItems: 200 })),
    ingress: Type.Optional(Type.Array(IngressRule, { maxItems: 200 })),
  },
  { additionalProperties: false },
);
export type AllowlistSpec = Static<typeof AllowlistSpec>;

const Duration = Type.String({ pattern: '^[0-9]{1,6}(s|m|h|d)$' });
/** A whole number of sites, or a share of them as `25%`. */
const Amount = Type.Union([
  Type.Integer({ minimum: 0, maximum: 1_000_000 }),
  Type.String({ pattern: '^(100|[0-9]{1,2})%$' }),
]);

export const MODES = ['audit', 'enforce'] as const;
export const Mode = Type.Enum(MODES);
export type Mode = Static<typeof Mode>;

/** What a stage has to show before it passes. Defaults are in core/policy/strategy.ts. */
export const Verify = Type.Object(
  {
    soak: Type.Optional(Duration),
    /** New connections, of the generation and of each rule that is new in it, a site. */
    minHits: Type.Optional(Type.Integer({ minimum: 0, maximum: 1_000_000 })),
    /** And of all sites of the stage together. */
    minHitsTotal: Type.Optional(Type.Integer({ minimum: 0, maximum: 1_000_000_000 })),
    maxUnexpectedDenies: Type.Optional(Type.Integer({ minimum: 0, maximum: 1_000_000 })),
    maxScoreDrop: Type.Optional(Type.Integer({ minimum: 0, maximum: 100 })),
    /** Share of the applicable sites that must pass. */
    minConclusive: Type.Optional(Type.String({ pattern: '^(100|[0-9]{1,2})%$' })),
    maxFailures: Type.Optional(Type.Integer({ minimum: 0, maximum: 1_000_000 })),
  },
  { additionalProperties: false },
);
export type Verify = Static<typeof Verify>;

/** A connection that a site tries under the workload's own identity. `to` is a URL as in a rule. */
export const ProbeRequest = Type.Object(
  { name: RuleName, to: Url, expect: Type.Enum(['allow', 'deny']) },
  { additionalProperties: false },
);
export type ProbeRequest = Static<typeof ProbeRequest>;

export const Stage = Type.Object(
  {
    virtualSite: ResourceName,
    mode: Type.Optional(Mode),
    verify: Type.Optional(Verify),
    probes: Type.Optional(Type.Array(ProbeRequest, { maxItems: 16 })),
    /** How many sites of the stage may have the change without having confirmed it; all of them by default. */
    maxConcurrency: Type.Optional(Amount),
    /** How long a stage may take before the rollout is paused. */
    progressDeadline: Type.Optional(Duration),
  },
  { additionalProperties: false },
);
export type Stage = Static<typeof Stage>;

/** How a generation gets to its sites. No part of the digest. */
export const Strategy = Type.Object(
  {
    unsupportedSites: Type.Optional(Type.Enum(['reject', 'exclude'])),
    stages: Type.Array(Stage, { minItems: 1, maxItems: 16 }),
    onFailure: Type.Optional(Type.Enum(['rollback', 'pause'])),
    /** What becomes of connections that were there before and would be denied now: listed only, or cut too. */
    established: Type.Optional(Type.Enum(['keep', 'cut'])),
  },
  { additionalProperties: false },
);
export type Strategy = Static<typeof Strategy>;

/** An allowlist as its author writes it. */
export const AllowlistDocument = Type.Object(
  {
    apiVersion: Type.Literal(API_VERSION),
    kind: Type.Literal('Allowlist'),
    metadata: Type.Object({ name: ResourceName }, { additionalProperties: false }),
    spec: AllowlistSpec,
    rollout: Strategy,
  },
  { additionalProperties: false },
);
export type AllowlistDocument = Static<typeof AllowlistDocument>;
