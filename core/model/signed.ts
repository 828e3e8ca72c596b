import Type, { type Static } from 'typebox';
import { AllowlistSpec, Mode, ProbeRequest } from './allowlist.ts';
import { Labels, SiteId } from './site.ts';

/*
 * What control signs and sites obey: the values of tables `specs` and `targets`, which travel unchanged to the sites. The
 * signature is over the very bytes of `payload`, so that nobody has to agree on how JSON is written (core/policy/sign.ts).
 */

/** The meaning of a target, as core/policy/desired-state.ts gives it. A site refuses one of a later version and keeps what it has. */
export const SEMANTICS = 1;
/** Largest signed specification, in bytes. */
export const MAX_SPEC_BYTES = 256 * 1024;
/** The most policies that a site takes: more are refused at `apply`, and by the site itself (`too-many`). */
export const MAX_POLICIES_A_SITE = 60;
/** The one tenant of this version. It is in every signed document, so that one of another tenant is refused. */
export const TENANT = 'default';

const Name = Type.String({ minLength: 1, maxLength: 63 });
const Digest = Type.String({ pattern: '^[A-Za-z0-9_-]{43}$' });
const EpochMs = Type.Integer({ minimum: 0 });
/** Kinds whose content a rollout moves. */
export const IntentKind = Type.Enum(['Allowlist']);
export type IntentKind = Static<typeof IntentKind>;

/** Compared by epoch first. `restore` raises the epoch, every change of the document `n`. */
export const Version = Type.Object({
  epoch: Type.Integer({ minimum: 1 }),
  n: Type.Integer({ minimum: 0 }),
});
export type Version = Static<typeof Version>;

/** One immutable generation of a policy's content. Key `<tenant>/<kind>/<name>/<generation>`. */
export const SpecBody = Type.Object({
  type: Type.Literal('spec'),
  tenant: Name,
  kind: IntentKind,
  name: Name,
  generation: Type.Integer({ minimum: 1 }),
  digest: Digest,
  spec: AllowlistSpec,
});
export type SpecBody = Static<typeof SpecBody>;

/** A generation, and how it is to run at the sites that it is assigned to. */
export const Assigned = Type.Object({
  generation: Type.Integer({ minimum: 1 }),
  digest: Digest,
  mode: Mode,
  probes: Type.Array(ProbeRequest, { maxItems: 16 }),
  established: Type.Enum(['keep', 'cut']),
  /**
   * The target version with which the policy began, or with which somebody had it tried again last. A site that has refused
   * this content in this mode goes on refusing it, under whatever newer version, until it comes with a newer attempt.
   */
  attempt: Version,
});
export type Assigned = Static<typeof Assigned>;

/**
 * What the sites of one virtual site are to run. `current` is what it was promoted to last (null: nothing); `next`, while a
 * stage is on its way, goes to the sites whose hash with `seed` is below `threshold` (0 none, 65536 all).
 */
export const Assignment = Type.Object({
  virtualSite: Name,
  selector: Type.Array(
    Type.Object({
      key: Type.String(),
      operator: Type.Enum(['In', 'NotIn', 'Exists', 'DoesNotExist']),
      values: Type.Array(Type.String()),
    }),
    { maxItems: 64 },
  ),
  current: Type.Union([Assigned, Type.Null()]),
  next: Type.Union([Assigned, Type.Null()]),
  threshold: Type.Integer({ minimum: 0, maximum: 65_536 }),
  seed: Type.String({ maxLength: 64 }),
  /** The virtual site's guard rails, which the site checks too. */
  guard: Type.Object({
    forbidden: Type.Array(Type.String(), { maxItems: 256 }),
    /** Shortest prefix that an IPv4 network may have; for IPv6 the same distance from a whole /64. */
    widestCidr: Type.Union([Type.Integer({ minimum: 0, maximum: 128 }), Type.Null()]),
  }),
});
export type Assignment = Static<typeof Assignment>;

/** Where a policy's generations run. Key `<tenant>/<kind>/<name>`. The first assignment whose selector matches counts. */
export const TargetBody = Type.Object({
  type: Type.Literal('target'),
  semantics: Type.Integer({ minimum: 1 }),
  tenant: Name,
  kind: IntentKind,
  name: Name,
  version: Version,
  issuedAtMs: EpochMs,
  /** Until when a site may accept it; what was accepted runs on. */
  expiresAtMs: EpochMs,
  /** The policy was deleted: withdraw it everywhere. */
  absent: Type.Boolean(),
  /** Of a deletion: the newest generation there was. A policy of the same name goes on counting above it. */
  lastGeneration: Type.Optional(Type.Integer({ minimum: 0 })),
  assignments: Type.Array(Assignment, { maxItems: 32 }),
});
export type TargetBody = Static<typeof TargetBody>;

/** What the hub says of one site: its given labels, against which selectors are read. Key `<tenant>/Site/<id>`. */
export const SiteBody = Type.Object({
  type: Type.Literal('site'),
  tenant: Name,
  site: SiteId,
  labels: Labels,
  version: Version,
});
export type SiteBody = Static<typeof SiteBody>;

/** The keys that count from now on; signed by one that counted before. Key `<tenant>/Keys`. */
export const KeysBody = Type.Object({
  type: Type.Literal('keys'),
  tenant: Name,
  version: Version,
  keys: Type.Array(
    Type.Object({
      id: Name,
      /** Ed25519, the 32 bytes as base64url (the `x` of a JWK, RFC 8037). */
      publicKey: Type.String({ pattern: '^[A-Za-z0-9_-]{43}$' }),
    }),
    { minItems: 1, maxItems: 8 },
  ),
});
export type KeysBody = Static<typeof KeysBody>;

export const SignedBody = Type.Union([SpecBody, TargetBody, SiteBody, KeysBody]);
export type SignedBody = Static<typeof SignedBody>;

export const Envelope = Type.Object({
  keyId: Name,
  /** Ed25519 over a context string and `payload`, base64url. */
  signature: Type.String({ pattern: '^[A-Za-z0-9_-]{86}$' }),
  payload: Type.String({ maxLength: MAX_SPEC_BYTES + 4096 }),
});
export type Envelope = Static<typeof Envelope>;

/** Negative when `a` is older than `b`. */
export function compareVersions(a: Version, b: Version): number {
  return a.epoch - b.epoch || a.n - b.n;
}

export function specKey(kind: IntentKind, name: string, generation: number): string {
  return `${TENANT}/${kind}/${name}/${generation}`;
}
export function targetKey(kind: IntentKind, name: string): string {
  return `${TENANT}/${kind}/${name}`;
}
export function siteKey(site: string): string {
  return `${TENANT}/Site/${site}`;
}
/** The keys that count. Earlier keyrings stay under `keysKey(n)`, so that a site that missed some can follow one by one. */
export const KEYS_KEY = `${TENANT}/Keys`;
export function keysKey(n: number): string {
  return `${KEYS_KEY}/${n}`;
}
