import { targetKey } from '../../core/model/signed.ts';
import { besides, changed, type Outcome } from './plan.ts';
import { type AgentState, type Chosen, withIrremovable, withRefusal, withRefused } from './state.ts';

/*
 * What lies between the policies that are in force and those that are to be, and what the state says of it afterwards.
 */

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

/** These are in force and confirmed. */
export function withGood(state: AgentState, next: readonly Chosen[], revision: number): AgentState {
  const before = new Map(state.good.policies.map((policy) => [keyOf(policy), policy]));
  const inForce = new Set(next.map(keyOf));
  const gone = [...before].map(([key, { generation }]) => ({ key, generation }));
  const replaced = next.flatMap((policy) => {
    const digest = before.get(keyOf(policy))?.digest;
    return digest === undefined || digest === policy.digest ? [] : [{ key: keyOf(policy), digest }];
  });
  const isReplaced = (key: string) => replaced.some((one) => one.key === key);
  return {
    ...state,
    good: { policies: [...next], revision },
    trial: null,
    hubAway: false,
    isLost: false,
    previous: [...state.previous.filter(({ key }) => inForce.has(key) && !isReplaced(key)), ...replaced],
    withdrawn: [...state.withdrawn.filter(({ key }) => !before.has(key)), ...gone]
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
  return culprits.reduce((sum, culprit) => {
    const { digest, mode, attempt } = culprit;
    const said = { key: keyOf(culprit), code, detail: detail.slice(0, 200) };
    const blamed = next.includes(culprit)
      ? withRefused(sum, { ...said, digest, mode, attempt })
      : withIrremovable(sum, { ...said, besides: besides(said.key, next) });
    return withRefusal(blamed, said, nowMs);
  }, over);
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

function keyOf({ kind, name }: Chosen): string {
  return targetKey(kind, name);
}
