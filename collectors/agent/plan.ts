import type { AllowlistSpec } from '../../core/model/allowlist.ts';
import { type Assigned, compareVersions, targetKey } from '../../core/model/signed.ts';
import { type Desired, desiredState } from '../../core/policy/desired-state.ts';
import { digestOf } from '../../core/policy/digest.ts';
import { guardFaults } from '../../core/policy/guard.ts';
import type { Clock } from '../../core/ports/clock.ts';
import type { EnforcedPolicy, Workload } from '../../core/ports/enforcer.ts';
import type { Fault } from '../../core/schema-faults.ts';
import { matches, parseSelector } from '../../core/selector.ts';
import type { Specs } from './specs.ts';
import type { AgentState, Chosen, HeldTarget, Refused } from './state.ts';

/** What a held target means here, before anything is applied. */
export type Outcome = {
  target: HeldTarget;
  desired: Desired | null;
  state: 'wanted' | 'pending' | 'refused' | 'not-applicable' | 'nothing';
  /** Of a refusal. */
  code?: string;
  reason?: string;
  workloads: number;
};

export type Plan = { policies: Chosen[]; outcomes: Outcome[] };

export type PlanWorld = {
  site: string;
  specs: Specs;
  workloads: readonly Workload[];
  /** Corrected by the hub's. */
  clock: Clock;
  /** Why a policy can't be expressed here; the dataplane's own pure compile. */
  compileFaults: (policy: EnforcedPolicy, workloads: readonly Workload[]) => readonly Fault[];
};

/**
 * Which policies are to be in force, by the signed documents alone. A policy whose new generation can't be had keeps the one
 * that is in force: nothing is ever let go or held back by default.
 */
export function planFor(state: AgentState, world: PlanWorld): Plan {
  const outcomes = state.targets.map((target) => outcomeOf(state, target, world));
  const policies = outcomes.flatMap((outcome): Chosen[] => {
    const { key, body } = outcome.target;
    const assigned = outcome.desired?.assigned ?? null;
    const isSpokenOf = !outcome.target.orphaned;
    if (isSpokenOf && outcome.state === 'wanted' && assigned !== null)
      return [{ kind: body.kind, name: body.name, ...assigned }];
    if (isSpokenOf && ['nothing', 'not-applicable'].includes(outcome.state)) return [];
    return state.good.policies.filter(({ kind, name }) => targetKey(kind, name) === key);
  });
  return { policies, outcomes };
}

/** Whether the dataplane has to do anything to get from one to the other. */
export function isSameInForce(a: Chosen, b: Chosen): boolean {
  return (
    a.kind === b.kind &&
    a.name === b.name &&
    a.generation === b.generation &&
    a.digest === b.digest &&
    a.mode === b.mode
  );
}

export function areSameInForce(a: readonly Chosen[], b: readonly Chosen[]): boolean {
  return a.length === b.length && changed(a, b).length === 0;
}

/** Those of `wanted` that are not in `present` as they are. */
export function changed(wanted: readonly Chosen[], present: readonly Chosen[]): Chosen[] {
  return wanted.filter((policy) => !present.some((one) => isSameInForce(one, policy)));
}

export function selectedBy(spec: AllowlistSpec, workloads: readonly Workload[]): Workload[] {
  const parsed = parseSelector(spec.workloads);
  return parsed.ok ? workloads.filter(({ labels }) => matches(parsed.selector, labels)) : [];
}

function outcomeOf(state: AgentState, target: HeldTarget, world: PlanWorld): Outcome {
  const base = { target, desired: null, workloads: 0 };
  if (state.site === null)
    return { ...base, state: 'pending', reason: "the site's labels have not come from the hub yet" };
  const desired = desiredState({ id: world.site, labels: state.site.labels }, target.body);
  const { assigned } = desired;
  if (assigned === null)
    return { ...base, desired, ...(keptFor(state, target, world) ?? { state: 'nothing' }) };
  return { target, desired, workloads: 0, ...judge(state, target, desired, assigned, world) };
}

function judge(
  state: AgentState,
  target: HeldTarget,
  { guard }: Desired,
  assigned: Assigned,
  world: PlanWorld,
): Pick<Outcome, 'state'> & Partial<Outcome> {
  const { specs, workloads, compileFaults } = world;
  const { kind, name } = target.body;
  const spec = specs.get(assigned.digest);
  if (spec === null) return { state: 'pending', reason: 'its specification has not come from the hub yet' };
  const selected = selectedBy(spec, workloads).length;
  const refused = refusedBefore(state, target, assigned);
  if (refused !== undefined)
    return { state: 'refused', code: refused.code, reason: refused.detail, workloads: selected };
  const broken = guard === null ? [] : guardFaults(spec, guard);
  if (broken.length > 0) return { ...refusal('guard', broken), workloads: selected };
  const selector = parseSelector(spec.workloads);
  if (!selector.ok)
    return refusal('selector', [
      { pointer: `/workloads${selector.at}`, problem: selector.reason, remedy: '' },
    ]);
  if (selected === 0)
    return (
      keptFor(state, target, world) ?? {
        state: 'not-applicable',
        reason: 'it selects no workload of this site',
      }
    );
  const { generation, digest, mode } = assigned;
  const faults = compileFaults({ kind, name, generation, digest, mode, spec }, workloads);
  if (faults.length > 0) return { ...refusal('compile', faults), workloads: selected };
  return { state: 'wanted', workloads: selected };
}

/** Of a policy that can't be taken away without losing the hub, beside what else is in force. */
function keptFor(
  { good, irremovable }: AgentState,
  { key }: HeldTarget,
  { clock }: PlanWorld,
): Pick<Outcome, 'state' | 'code' | 'reason'> | null {
  const isInForce = good.policies.some(({ kind, name }) => targetKey(kind, name) === key);
  const refused = isInForce ? irremovable.find((one) => one.key === key) : undefined;
  if (refused === undefined || refused.besides !== besides(key, good.policies)) return null;
  if (clock.nowMs() >= (refused.untilMs ?? 0)) return null;
  return { state: 'refused', code: refused.code, reason: refused.detail };
}

/** What else than this policy is among them, as one text. */
export function besides(key: string, policies: readonly Chosen[]): string {
  const others = policies.filter(({ kind, name }) => targetKey(kind, name) !== key);
  return digestOf(others.map(({ kind, name, digest, mode }) => `${kind}/${name} ${digest} ${mode}`).sort());
}

/** What was refused is tried again when somebody asks for it, which no newer target does by itself. */
function refusedBefore(
  state: AgentState,
  { key }: HeldTarget,
  { digest, mode, attempt }: Assigned,
): Refused | undefined {
  return state.refused.find(
    (one) =>
      one.key === key &&
      one.digest === digest &&
      one.mode === mode &&
      compareVersions(attempt, one.attempt) <= 0,
  );
}

/** Whether it stays refused because it was applied once and had to be taken back. */
export function isRefusedBefore(state: AgentState, { target, desired }: Outcome): boolean {
  const assigned = desired?.assigned ?? null;
  return assigned !== null && refusedBefore(state, target, assigned) !== undefined;
}

function refusal(code: string, faults: readonly Fault[]): Pick<Outcome, 'state'> & Partial<Outcome> {
  const [first] = faults;
  const more = faults.length > 1 ? ` (and ${faults.length - 1} more)` : '';
  return {
    state: 'refused',
    code,
    reason: `${first?.pointer ?? ''}: ${first?.problem ?? ''}${more}`.slice(0, 200),
  };
}
