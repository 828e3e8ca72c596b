import type { AllowlistSpec } from '../../core/model/allowlist.ts';
import { targetKey } from '../../core/model/signed.ts';
import type { Observed, ObservedFlow, Workload } from '../../core/ports/enforcer.ts';
import type { ProbeTarget } from '../../core/ports/workload-prober.ts';
import { type DeniedPlace, type Evidence, placeId } from './evidence.ts';
import type { Exception, LookBack } from './look-back.ts';
import { isolates, type Place, permits } from './permits.ts';
import { selectedBy } from './plan.ts';
import type { Specs } from './specs.ts';
import type { AgentState, Chosen } from './state.ts';

export type DeniedWorld = {
  specs: Specs;
  workloads: readonly Workload[];
  namesOf: (address: string) => readonly string[];
  lookBack: LookBack;
  evidence: Evidence;
  /** Where the site's own deny probes go. */
  isProbed: (policy: Chosen, place: ProbeTarget) => boolean;
};

const MAX_KNOWN = 8192;

type SpecWorld = Pick<DeniedWorld, 'specs' | 'workloads'>;

/**
 * Gives each policy what it denied. A connection is denied by every policy that isolates its workload in that direction and
 * has no rule for it. One to where the workload was let through within the look-back is unexpected, unless the change took
 * away on purpose the rule that let it through, or that was only ever by an exception that is over.
 */
export function noteDenied(
  state: AgentState,
  policies: readonly Chosen[],
  observed: Observed,
  world: DeniedWorld,
  nowMs: number,
): void {
  const denied = observed.flows.filter(({ verdict }) => verdict === 'denied');
  const inForce = inForceOf(state, policies, world);
  for (const policy of policies) {
    const spec = world.specs.get(policy.digest);
    if (spec === null) continue;
    const before = previousSpec(state, policy, world.specs);
    const selected = new Set(selectedBy(spec, world.workloads).map(({ name }) => name));
    const noted = world.evidence.noted(policy);
    const own = denied.filter(
      (flow) =>
        selected.has(flow.workload) &&
        noted.get(placeId(flow)) !== flow.connections &&
        isolates(spec, flow.direction) &&
        !permits(spec, flow, world.namesOf),
    );
    const counted = observed.policies.find(({ kind, name }) => kind === policy.kind && name === policy.name);
    const isOnlyProbes = counted?.denies === 0 && counted.probeDenies > 0;
    world.evidence.deny(policy, own.map(withName(world.namesOf)), (place) => {
      if (isOnlyProbes && world.isProbed(policy, place)) return 'probe';
      const seen = world.lookBack.of(place.workload, place, nowMs);
      if (seen === null) return 'new';
      if (before !== null && permits(before, place, world.namesOf)) return 'removed';
      const { exception } = seen;
      const names = world.namesOf(place.address);
      return exception !== null && isOver(inForce, place.workload, place, exception, names)
        ? 'removed'
        : 'unexpected';
    });
  }
}

/**
 * Where a workload gets through no more because what is in force took the rule away, or because an exception is over, is
 * nothing that the next change could be blamed for. To be called before that one.
 */
export function dropRemoved(state: AgentState, world: SpecWorld, lookBack: LookBack): void {
  const inForce = inForceOf(state, state.good.policies, world);
  lookBack.dropExceptions((workload, place, exception) => isOver(inForce, workload, place, exception, []));
  if (inForce.every(({ before }) => before === null)) return;
  lookBack.drop((workload, place, names) => {
    const own = inForce.filter(({ selected }) => selected.has(workload));
    const wasPermitted = own.some(({ before }) => before !== null && permits(before, place, () => names));
    return wasPermitted && !own.some(({ spec }) => permits(spec, place, () => names));
  });
}

/**
 * Which policies would have held a connection back, had it not been for others that let it through; none where it would have
 * gone through anyhow. It was made while one of these sets of policies was in force, nobody knows which.
 */
export function holdersOf(
  state: AgentState,
  sets: readonly (readonly Chosen[])[],
  world: SpecWorld & Pick<DeniedWorld, 'namesOf'>,
): (flow: ObservedFlow) => readonly string[] {
  const all = sets.map((policies) => inForceOf(state, policies, world));
  // The same flows come with every reading.
  const known = new Map<string, readonly string[]>();
  return (flow) => {
    const id = `${placeId(flow)} ${world.namesOf(flow.address).join(' ')}`;
    const held = known.get(id) ?? heldBy(all, flow, world.namesOf);
    if (known.size >= MAX_KNOWN) known.clear();
    known.set(id, held);
    return held;
  };
}

function heldBy(
  sets: readonly (readonly InForce[])[],
  flow: ObservedFlow,
  namesOf: DeniedWorld['namesOf'],
): readonly string[] {
  const holders = new Set<string>();
  for (const inForce of sets) {
    const own = inForce.filter((one) => isEnforced(one, flow.workload, flow.direction));
    if (own.length === 0) return [];
    const lets = (spec: AllowlistSpec) => permits(spec, flow, namesOf);
    // It was not made while these were in force.
    if (!own.some(({ spec }) => lets(spec))) continue;
    const those = own.filter(
      ({ spec, before }) =>
        !lets(spec) || (before !== null && isolates(before, flow.direction) && !lets(before)),
    );
    if (those.length === 0) return [];
    for (const { key } of those) holders.add(key);
  }
  return [...holders];
}

type InForce = {
  key: string;
  mode: Chosen['mode'];
  spec: AllowlistSpec;
  selected: ReadonlySet<string>;
  before: AllowlistSpec | null;
};

function inForceOf(
  state: AgentState,
  policies: readonly Chosen[],
  { specs, workloads }: SpecWorld,
): InForce[] {
  return policies.flatMap((policy) => {
    const spec = specs.get(policy.digest);
    if (spec === null) return [];
    const selected = new Set(selectedBy(spec, workloads).map(({ name }) => name));
    const key = targetKey(policy.kind, policy.name);
    return [{ key, mode: policy.mode, spec, selected, before: previousSpec(state, policy, specs) }];
  });
}

function isEnforced({ mode, spec, selected }: InForce, workload: string, direction: Place['direction']) {
  return mode === 'enforce' && selected.has(workload) && isolates(spec, direction);
}

/** Who would have held it back still does, and nobody who is in force has a rule for it. */
function isOver(
  inForce: readonly InForce[],
  workload: string,
  place: Place,
  { holders, names }: Exception,
  namesNow: readonly string[],
): boolean {
  const own = inForce.filter(({ selected }) => selected.has(workload));
  const isHeld = own.some((one) => holders.includes(one.key) && isEnforced(one, workload, place.direction));
  return isHeld && !own.some(({ spec }) => permits(spec, place, () => [...names, ...namesNow]));
}

function withName(namesOf: DeniedWorld['namesOf']) {
  return (flow: ObservedFlow): Omit<DeniedPlace, 'kind' | 'raw'> => {
    const { workload, direction, address, port, protocol, connections } = flow;
    const [name] = namesOf(address);
    return {
      workload,
      direction,
      address,
      port,
      protocol,
      count: connections,
      ...(name !== undefined && { name: name.slice(0, 253) }),
    };
  };
}

/** A newer one that was rolled back is none that this one took anything from. */
function previousSpec(state: AgentState, policy: Chosen, specs: Specs): AllowlistSpec | null {
  const key = targetKey(policy.kind, policy.name);
  // While a change is on its way, what it replaces is what was confirmed last.
  const good = state.good.policies.find(({ kind, name }) => targetKey(kind, name) === key);
  const before =
    good !== undefined && good.digest !== policy.digest
      ? good
      : state.previous.find((one) => one.key === key);
  if (before === undefined || (before.generation ?? 0) > policy.generation) return null;
  return specs.get(before.digest);
}
