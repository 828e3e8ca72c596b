import {
  compareVersions,
  type Envelope,
  KEYS_KEY,
  type KeysBody,
  MAX_POLICIES_A_SITE,
  SEMANTICS,
  type SignedBody,
  type SiteBody,
  type SpecBody,
  siteKey,
  specKey,
  type TargetBody,
  targetKey,
} from '../../core/model/signed.ts';
import { desiredState } from '../../core/policy/desired-state.ts';
import { digestOf } from '../../core/policy/digest.ts';
import { claimedType, openEnvelope, type TrustedKeys } from '../../core/policy/sign.ts';
import type { Holdings } from '../../core/ports/policy-link.ts';
import { type AgentState, neededDigests, type Refusal } from './state.ts';

const MAX_SPECS = 128;

export type Accepted =
  /** `spec` is to be kept before the state is; `heard` is the target's key, also when it brought nothing new. */
  { ok: true; state: AgentState; spec?: SpecBody; heard?: string } | ({ ok: false } & Refusal);

/** In the order in which they have to be believed; a specification that no target names would not be kept. */
export function inOrder(envelopes: readonly Envelope[]): Envelope[] {
  const rank = (envelope: Envelope) => ['keys', 'site', 'target', 'spec'].indexOf(claimedType(envelope));
  return envelopes.toSorted((a, b) => rank(a) - rank(b));
}

/** What a signed document changes, or why it is refused. Whatever is refused leaves the state as it was. */
export function accept(
  state: AgentState,
  envelope: Envelope,
  site: string,
  nowMs: number,
  open: typeof openEnvelope = openEnvelope,
): Accepted {
  const opened = open(envelope, trustedFor(state, envelope));
  if (!opened.ok)
    return { ok: false, key: keyOf(unverified(envelope)), code: opened.code, detail: opened.detail };
  const { body } = opened;
  switch (body.type) {
    case 'keys':
      return acceptKeys(state, body);
    case 'site':
      return acceptSite(state, body, site);
    case 'spec':
      return acceptSpec(state, body);
    case 'target':
      return acceptTarget(state, body, site, nowMs);
  }
}

export function holdings(state: AgentState): Holdings {
  const targets = state.targets.map(({ key, body }) => ({ key, version: body.version }));
  if (state.site !== null) targets.push({ key: siteKey(state.site.site), version: state.site.version });
  if (state.keys !== null) targets.push({ key: KEYS_KEY, version: state.keys.version });
  return { targets, specs: [...new Set(state.specs.map(({ key }) => key))] };
}

/** A site that trusts nobody yet believes the first keyring that signs itself: it came over the pinned channel. */
function trustedFor(state: AgentState, envelope: Envelope): TrustedKeys {
  if (state.keys !== null) return state.keys.keys;
  const body = unverified(envelope);
  const keys = body?.type === 'keys' && Array.isArray(body.keys) ? body.keys : [];
  return keys.filter(isKey).slice(0, 8);
}

function isKey(value: unknown): value is TrustedKeys[number] {
  if (typeof value !== 'object' || value === null || !('id' in value) || !('publicKey' in value))
    return false;
  return typeof value.id === 'string' && /^[A-Za-z0-9_-]{43}$/.test(String(value.publicKey));
}

function acceptKeys(state: AgentState, body: KeysBody): Accepted {
  const replay = replayed(KEYS_KEY, state.keys, body);
  if (replay !== null) return replay;
  return { ok: true, state: { ...state, keys: body } };
}

function acceptSite(state: AgentState, body: SiteBody, site: string): Accepted {
  const key = siteKey(body.site);
  if (body.site !== site)
    return { ok: false, key, code: 'other-site', detail: `the labels are of site ${body.site}` };
  const replay = replayed(key, state.site, body);
  if (replay !== null) return replay;
  return { ok: true, state: { ...state, site: body } };
}

function acceptSpec(state: AgentState, body: SpecBody): Accepted {
  const key = specKey(body.kind, body.name, body.generation);
  if (state.specs.some((held) => held.key === key && held.digest === body.digest)) return { ok: true, state };
  const least = leastSpec(state);
  if (least === undefined)
    return { ok: false, key, code: 'too-many', detail: `the site holds ${MAX_SPECS} specifications already` };
  const others = state.specs.filter((held) => held !== least && held.key !== key);
  return { ok: true, state: { ...state, specs: [...others, { key, digest: body.digest }] }, spec: body };
}

function acceptTarget(state: AgentState, body: TargetBody, site: string, nowMs: number): Accepted {
  const key = targetKey(body.kind, body.name);
  if (body.semantics > SEMANTICS)
    return {
      ok: false,
      key,
      code: 'future-semantics',
      detail: `the target has semantics ${body.semantics}, this collector knows ${SEMANTICS}; upgrade it`,
    };
  const held = state.targets.find((one) => one.key === key);
  const replay = replayed(key, held?.body ?? null, body);
  if (replay !== null) return replay;
  const isKnown = held !== undefined && compareVersions(held.body.version, body.version) === 0;
  if (!isKnown && body.expiresAtMs <= nowMs)
    return {
      ok: false,
      key,
      code: 'expired',
      detail: `the target could be accepted until ${new Date(body.expiresAtMs).toISOString()}`,
    };
  const room = withRoom(state, key);
  // Of what was deleted and never was here, nothing has to be kept.
  if (room === null && body.absent && held === undefined) return { ok: true, state, heard: key };
  if (room === null)
    return {
      ok: false,
      key,
      code: 'too-many',
      detail: `the site holds ${MAX_POLICIES_A_SITE} policies already, which is the most`,
    };
  const isSame = held !== undefined && assignsTheSame(state, held.body, body, site);
  const next = {
    key,
    body,
    deliveredAtMs: isSame ? held.deliveredAtMs : Math.max(0, Math.round(nowMs)),
    orphaned: false,
  };
  const targets = [...room, next].sort((a, b) => (a.key < b.key ? -1 : 1));
  return { ok: true, state: { ...state, targets }, heard: key };
}

/** Whether a target or specification that was refused as one too many would be taken now. */
export function hasRoom(state: AgentState, key: string): boolean {
  const isSpec = key.split('/').length > 3;
  if (isSpec) return state.specs.every((held) => held.key !== key) && leastSpec(state) !== undefined;
  return state.targets.every((held) => held.key !== key) && withRoom(state, key) !== null;
}

/** The hub speaks of no others than of these. */
export function withOrphans(state: AgentState, heard: ReadonlySet<string>): AgentState {
  if (state.targets.every(({ key, orphaned }) => orphaned === !heard.has(key))) return state;
  return { ...state, targets: state.targets.map((one) => ({ ...one, orphaned: !heard.has(one.key) })) };
}

/** The specification that makes room for another, null when there is room without; undefined when all are needed. */
function leastSpec(state: AgentState): AgentState['specs'][number] | null | undefined {
  if (state.specs.length < MAX_SPECS) return null;
  const needed = neededDigests(state);
  return state.specs.find(({ digest }) => !needed.has(digest));
}

/** The other targets, without one that is over when there are too many; null when all of them matter. */
function withRoom({ targets, good }: AgentState, key: string): AgentState['targets'] | null {
  const others = targets.filter((one) => one.key !== key);
  if (others.length < MAX_POLICIES_A_SITE) return others;
  const isInForce = (one: string) => good.policies.some(({ kind, name }) => targetKey(kind, name) === one);
  const over = others.find((one) => (one.body.absent || one.orphaned) && !isInForce(one.key));
  return over === undefined ? null : others.filter((one) => one !== over);
}

/** Older than what was seen, or of the same version with another content. */
function replayed<B extends KeysBody | SiteBody | TargetBody>(
  key: string,
  held: B | null,
  body: B,
): Accepted | null {
  if (held === null) return null;
  const order = compareVersions(body.version, held.version);
  const text = ({ version }: B) => `${version.epoch}.${version.n}`;
  if (order < 0)
    return {
      ok: false,
      key,
      code: 'replayed',
      detail: `version ${text(body)} is older than ${text(held)}, which was seen`,
    };
  if (order === 0 && digestOf(body) !== digestOf(held))
    return {
      ok: false,
      key,
      code: 'replayed',
      detail: `version ${text(body)} was seen with another content`,
    };
  return null;
}

function assignsTheSame(state: AgentState, before: TargetBody, after: TargetBody, site: string): boolean {
  if (state.site === null) return false;
  const me = { id: site, labels: state.site.labels };
  const what = (target: TargetBody) => {
    const { assigned } = desiredState(me, target);
    return assigned === null ? '' : `${assigned.generation} ${assigned.digest} ${assigned.mode}`;
  };
  return what(before) === what(after);
}

/** Fields of a body that nobody vouched for: good for a name in a list, and for nothing else. */
type Claims = { [field in 'type' | 'kind' | 'name' | 'site' | 'generation' | 'keys']?: unknown } & {
  type?: string;
};

function unverified(envelope: Envelope): Claims | null {
  try {
    const value: unknown = JSON.parse(envelope.payload);
    if (typeof value !== 'object' || value === null) return null;
    const type = 'type' in value && typeof value.type === 'string' ? value.type : '';
    return { ...value, type };
  } catch {
    return null;
  }
}

function keyOf(claims: Claims | null): string {
  const parts: Record<SignedBody['type'], unknown[]> = {
    keys: ['Keys'],
    site: ['Site', claims?.site],
    spec: [claims?.kind, claims?.name, claims?.generation],
    target: [claims?.kind, claims?.name],
  };
  const found = Object.entries(parts).find(([type]) => type === claims?.type)?.[1] ?? ['unreadable'];
  return ['default', ...found].map(String).join('/').slice(0, 160);
}
