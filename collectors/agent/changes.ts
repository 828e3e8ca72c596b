import { TAKEN_BACK } from '../../core/model/policy-report.ts';
import { targetKey } from '../../core/model/signed.ts';
import { besides, changed, type Outcome } from './plan.ts';
import { type AgentState, type Chosen, withIrremovable, withRefusal, withRefused } from './state.ts';

/*
 * What lies between the policies that are in force and those that are to be, and what the state says of it afterwards.
 */

const MAX_DOUBTED = 128;

/** What has to be done: policies that come or change, as they will be, then those that go, as they are. */
export function changesBetween(present: readonly Chosen[], wanted: readonly Chosen[]): Chosen[] {
  const stays = new Set(wanted.map(keyOf));
  return [...changed(wanted, present), ...present.filter((policy) => !stays.has(keyOf(policy)))];
}

/** Only the first change of all that are wanted. */
export function firstChange(present: readonly Chosen[], wanted: readonly Chosen[]): Chosen[] {
  const [first] = changesBetween(present, wanted);
  if (first === undefined) return [...wanted];
  const isFirst = (policy: Chosen) => keyOf(policy) === keyOf(first);
  const next = [...wanted.filter(isFirst), ...present.filter((policy) => !isFirst(policy))];
  return next.sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
}

/** The hub was away with all these changes in force the last time that they were tried, too. */
export function isDoubted(
  { doubted = [] }: AgentState,
  changes: readonly Chosen[],
  next: readonly Chosen[],
): boolean {
  return changes.every((change) => doubted.includes(nameOf(change, next)));
}

/** That they are in doubt, or that they are no more. */
export function withDoubt(
  state: AgentState,
  changes: readonly Chosen[],
  next: readonly Chosen[],
  isInDoubt = true,
): AgentState {
  const { doubted: before = [] } = state;
  const names = changes.map((change) => nameOf(change, next));
  const others = before.filter((one) => !names.includes(one));
  if (!isInDoubt && others.length === before.length) return state;
  return { ...state, doubted: [...others, ...(isInDoubt ? names : [])].slice(-MAX_DOUBTED) };
}

/** These are in force and confirmed. */
export function withGood(before: AgentState, next: readonly Chosen[], revision: number): AgentState {
  const state = withDoubt(before, changesBetween(before.good.policies, next), next, false);
  const present = new Map(state.good.policies.map((policy) => [keyOf(policy), policy]));
  const inForce = new Set(next.map(keyOf));
  const gone = [...present].map(([key, { generation }]) => ({ key, generation }));
  const replaced = next.flatMap((policy) => {
    const before = present.get(keyOf(policy));
    if (before === undefined || before.digest === policy.digest) return [];
    const { digest, generation } = before;
    return [{ key: keyOf(policy), digest, generation }];
  });
  const isReplaced = (key: string) => replaced.some((one) => one.key === key);
  return {
    ...state,
    good: { policies: [...next], revision },
    trial: null,
    hubAway: false,
    isLost: false,
    irremovable: state.irremovable.filter(({ key }) => inForce.has(key)),
    previous: [...state.previous.filter(({ key }) => inForce.has(key) && !isReplaced(key)), ...replaced],
    withdrawn: [...state.withdrawn.filter(({ key }) => !present.has(key)), ...gone]
      .filter(({ key }) => !inForce.has(key))
      .slice(-64),
  };
}

/**
 * Several changes at once may each be innocent: they are tried one by one before any is refused. Where what is in force is
 * not known, that would open what it holds back: all of them are refused.
 */
export function withBlame(
  state: AgentState,
  culprits: readonly Chosen[],
  next: readonly Chosen[],
  { code, detail, isLost }: { code: string; detail: string; isLost: boolean },
  nowMs: number,
): AgentState {
  const over: AgentState = { ...state, trial: null, hubAway: false };
  if (culprits.length > 1 && !isLost) return { ...over, oneByOne: true };
  const blamed = withDoubt(over, culprits, next, false);
  return culprits.reduce((sum, culprit) => {
    const { digest, mode, attempt } = culprit;
    const said = { key: keyOf(culprit), code, detail: detail.slice(0, 200) };
    const refused = next.includes(culprit)
      ? withRefused(sum, { ...said, digest, mode, attempt })
      : withIrremovable(sum, { ...said, besides: besides(said.key, next) }, nowMs);
    return withRefusal(refused, said, nowMs);
  }, blamed);
}

/**
 * For the hub to hear of when it is back, also where the change is in force again by then. One entry for all changes at once,
 * so that it takes the place of few others; each time anew, since each is news.
 */
export function withTakenBack(
  state: AgentState,
  changes: readonly Chosen[],
  next: readonly Chosen[],
  why: string,
  nowMs: number,
): AgentState {
  const [first] = changes;
  if (first === undefined) return state;
  const one = next.includes(first) ? `generation ${first.generation}` : 'its withdrawal';
  const what = changes.length === 1 ? one : `${one}, with ${changes.length - 1} more`;
  const said = { key: keyOf(first), code: TAKEN_BACK, detail: `${what}: ${why}` };
  const refusals = state.refusals.filter(({ key, code }) => key !== said.key || code !== said.code);
  return withRefusal({ ...state, refusals }, said, nowMs);
}

/** What the plan came to: its refusals are said, and what is wanted again may be taken away another time. */
export function withOutcomes(state: AgentState, outcomes: readonly Outcome[], nowMs: number): AgentState {
  const wanted = new Set(outcomes.flatMap((one) => (one.state === 'wanted' ? [one.target.key] : [])));
  const irremovable = state.irremovable.filter(({ key }) => !wanted.has(key));
  const isSame = irremovable.length === state.irremovable.length;
  return outcomes.reduce(
    (sum, { target: { key }, state: is, code, reason }) =>
      is === 'refused' && code !== undefined
        ? withRefusal(sum, { key, code, detail: reason ?? '' }, nowMs)
        : sum,
    isSame ? state : { ...state, irremovable },
  );
}

/** What a policy becomes, or beside what else it goes: the same name for the same attempt at the same. */
function nameOf(policy: Chosen, next: readonly Chosen[]): string {
  const key = keyOf(policy);
  const { digest, mode, attempt } = policy;
  if (!next.includes(policy)) return `${key} without ${besides(key, next)}`;
  return `${key} ${digest} ${mode} ${attempt.epoch}.${attempt.n}`;
}

function keyOf({ kind, name }: Chosen): string {
  return targetKey(kind, name);
}
