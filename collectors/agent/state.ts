import Type, { type Static } from 'typebox';
import { Compile } from 'typebox/compile';
import { readJson } from '../../core/json.ts';
import { Mode } from '../../core/model/allowlist.ts';
import { Assigned, IntentKind, KeysBody, SiteBody, TargetBody, Version } from '../../core/model/signed.ts';
import type { Spool } from '../../core/ports/spool.ts';

/*
 * What the agent must not forget, as one text that is replaced as a whole: wherever a kill falls, the next start finds the
 * state before a step or the one after it. Specifications are texts of their own, kept before the state names them.
 */

/** A part of the spool, whose texts survive a kill. */
export type Memory = Pick<Spool, 'keep' | 'kept'>;

const Name = Type.String({ minLength: 1, maxLength: 63 });
const Moment = Type.Integer({ minimum: 0 });

/** A policy that is in force or on its way, with what the dataplane and the probes need to know of it. */
const Chosen = Type.Object({ kind: IntentKind, name: Name, ...Assigned.properties });
export type Chosen = Static<typeof Chosen>;

const HeldTarget = Type.Object({
  key: Type.String(),
  body: TargetBody,
  /** When what it assigns to this site came here. */
  deliveredAtMs: Moment,
  /** The hub no longer speaks of it. */
  orphaned: Type.Boolean(),
});
export type HeldTarget = Static<typeof HeldTarget>;

const HeldSpec = Type.Object({ key: Type.String(), digest: Type.String() });
type HeldSpec = Static<typeof HeldSpec>;

/** What was applied and had to be taken back, or was not taken at all. */
const Refused = Type.Object({
  key: Type.String(),
  digest: Type.String(),
  mode: Mode,
  /** A newer one has it tried again. */
  attempt: Version,
  code: Name,
  detail: Type.String(),
});
export type Refused = Static<typeof Refused>;

/**
 * A policy that could not be taken away without losing the hub. It is tried again after a while, at each start, and as soon as
 * something changes in what is in force with it.
 */
const Irremovable = Type.Object({
  key: Type.String(),
  /** What else was in force, as `besides` gives it. */
  besides: Type.String(),
  code: Name,
  detail: Type.String(),
  untilMs: Type.Optional(Moment),
  waitMs: Type.Optional(Moment),
});
export type Irremovable = Static<typeof Irremovable>;

export const Endpoint = Type.Object({
  address: Type.String(),
  port: Type.Integer(),
  protocol: Type.Enum(['TCP', 'UDP']),
});
export type Endpoint = Static<typeof Endpoint>;

export const AgentState = Type.Object({
  v: Type.Literal(1),
  keys: Type.Union([KeysBody, Type.Null()]),
  site: Type.Union([SiteBody, Type.Null()]),
  targets: Type.Array(HeldTarget),
  specs: Type.Array(HeldSpec),
  /** The last revision that was handed out; never used twice. */
  revision: Type.Integer({ minimum: 0 }),
  /** What was confirmed last. */
  good: Type.Object({ policies: Type.Array(Chosen), revision: Type.Integer({ minimum: 0 }) }),
  /** Digests that were in force before those of `good`, by policy: what a change took away. */
  previous: Type.Array(
    Type.Object({
      key: Type.String(),
      digest: Type.String(),
      generation: Type.Optional(Assigned.properties.generation),
    }),
  ),
  /** Being applied and not confirmed. `isHeld`: what it took the place of is held aside, since nobody knows what it is. */
  trial: Type.Union([
    Type.Object({
      policies: Type.Array(Chosen),
      revision: Type.Integer(),
      isHeld: Type.Optional(Type.Boolean()),
    }),
    Type.Null(),
  ]),
  refused: Type.Array(Refused),
  irremovable: Type.Array(Irremovable),
  /** Changes that were taken back from a hub that may have been away itself; the next time in a row they are refused. */
  doubted: Type.Optional(Type.Array(Type.String())),
  /** A change was taken back because the hub could not be reached at all. */
  hubAway: Type.Boolean(),
  /** Several changes together cut the hub: each is tried alone, until what is wanted is in force. */
  oneByOne: Type.Boolean(),
  /** Policies that were in force until a target said otherwise, and in which generation. */
  withdrawn: Type.Array(Type.Object({ key: Type.String(), generation: Assigned.properties.generation })),
  refusals: Type.Array(Type.Object({ atMs: Moment, key: Type.String(), code: Name, detail: Type.String() })),
  /** The collector's own endpoints as last looked up, so that a start needs nobody. */
  endpoints: Type.Array(Endpoint),
  /** The dataplane may have something of ours. */
  touched: Type.Boolean(),
  /** What was in force was forgotten, and nothing was put in its place since. */
  isLost: Type.Optional(Type.Boolean()),
});
export type AgentState = Static<typeof AgentState>;
export type Refusal = { key: string; code: string; detail: string };

const validator = Compile(AgentState);
const KEPT_AS = 'policy/state';
const MAX_REFUSALS = 8;
const MAX_REFUSED = 64;
const STAYS = { leastMs: 3_600_000, mostMs: 24 * 3_600_000 } as const;

const EMPTY: AgentState = {
  v: 1,
  keys: null,
  site: null,
  targets: [],
  specs: [],
  revision: 0,
  good: { policies: [], revision: 0 },
  previous: [],
  trial: null,
  refused: [],
  irremovable: [],
  hubAway: false,
  oneByOne: false,
  withdrawn: [],
  refusals: [],
  endpoints: [],
  touched: false,
};

/**
 * Nothing is known where there is no text, or one that can't be read, and the hub is asked for everything. In the second case
 * something may be in force all the same.
 */
export function readState(memory: Memory): AgentState {
  const text = memory.kept(KEPT_AS);
  if (text === null) return EMPTY;
  const value = readJson(text);
  return validator.Check(value) ? value : { ...EMPTY, touched: true, isLost: true };
}

export function writeState(memory: Memory, state: AgentState): void {
  memory.keep(KEPT_AS, JSON.stringify(state));
}

/** The newest eight; the same said again is not news. */
export function withRefusal(state: AgentState, refusal: Refusal, atMs: number): AgentState {
  const entry = {
    atMs: Math.max(0, Math.round(atMs)),
    key: refusal.key.slice(0, 160),
    code: refusal.code.slice(0, 63),
    detail: refusal.detail.slice(0, 200),
  };
  const isKnown = state.refusals.some(
    ({ key, code, detail }) => key === entry.key && code === entry.code && detail === entry.detail,
  );
  return isKnown ? state : { ...state, refusals: [...state.refusals, entry].slice(-MAX_REFUSALS) };
}

export function withRefused(state: AgentState, refused: Refused): AgentState {
  const { key, digest, mode } = refused;
  const others = state.refused.filter((one) => one.key !== key || one.digest !== digest || one.mode !== mode);
  return { ...state, refused: [...others, refused].slice(-MAX_REFUSED) };
}

/** Each time in a row it is left for twice as long. */
export function withIrremovable(
  state: AgentState,
  one: Omit<Irremovable, 'untilMs' | 'waitMs'>,
  nowMs: number,
): AgentState {
  const others = state.irremovable.filter(({ key }) => key !== one.key);
  const before = state.irremovable.find(({ key, besides }) => key === one.key && besides === one.besides);
  const waitMs = Math.min(STAYS.mostMs, 2 * (before?.waitMs ?? STAYS.leastMs / 2));
  const stays = { ...one, waitMs, untilMs: Math.max(0, Math.round(nowMs)) + waitMs };
  return { ...state, irremovable: [...others, stays].slice(-MAX_REFUSED) };
}

/** The hub is somewhere else: as after a first time. Not at once, since a name may give other addresses each time. */
export function withHubMoved(state: AgentState, endpoints: AgentState['endpoints']): AgentState {
  const irremovable = state.irremovable.map((one) => {
    const { untilMs = 0, waitMs = 0 } = one;
    return { ...one, waitMs: STAYS.leastMs, untilMs: Math.max(0, untilMs - waitMs + STAYS.leastMs) };
  });
  return { ...state, endpoints, irremovable };
}

/**
 * Without specifications that are over: generations older than any that is spoken of, and those of deleted policies. One
 * that nothing names yet stays, since it may come before its target. Gives the digests to forget once the state is kept.
 */
export function withoutUnused(state: AgentState): { state: AgentState; unused: string[] } {
  const needed = neededDigests(state);
  const newest = new Map(state.targets.map(({ key, body }) => [key, newestGeneration(body)]));
  const isOver = ({ key, digest }: HeldSpec) => {
    const [policy = '', generation] = splitKey(key);
    return !needed.has(digest) && Number(generation) < (newest.get(policy) ?? 0);
  };
  if (!state.specs.some(isOver)) return { state, unused: [] };
  const specs = state.specs.filter((spec) => !isOver(spec));
  const left = new Set(specs.map(({ digest }) => digest));
  const unused = state.specs.map(({ digest }) => digest).filter((digest) => !left.has(digest));
  return { state: { ...state, specs }, unused };
}

/** Digests of what is in force, on its way, was in force before, or is spoken of by a target. */
export function neededDigests(state: AgentState): Set<string> {
  return new Set([
    ...state.good.policies.map(({ digest }) => digest),
    ...(state.trial?.policies ?? []).map(({ digest }) => digest),
    ...state.previous.map(({ digest }) => digest),
    ...state.targets.flatMap(({ body }) =>
      body.assignments.flatMap(({ current, next }) => [current?.digest ?? '', next?.digest ?? '']),
    ),
  ]);
}

function newestGeneration({ absent, assignments }: TargetBody): number {
  if (absent) return Number.POSITIVE_INFINITY;
  return Math.max(
    0,
    ...assignments.flatMap(({ current, next }) => [current?.generation ?? 0, next?.generation ?? 0]),
  );
}

function splitKey(key: string): [policy: string, generation: string] {
  const at = key.lastIndexOf('/');
  return [key.slice(0, at), key.slice(at + 1)];
}
