import type { AllowlistSpec } from '../../core/model/allowlist.ts';
import { targetKey } from '../../core/model/signed.ts';
import type { Observed, ObservedFlow, Workload } from '../../core/ports/enforcer.ts';
import type { ProbeTarget } from '../../core/ports/workload-prober.ts';
import { type DeniedPlace, type Evidence, placeId } from './evidence.ts';
import type { LookBack } from './look-back.ts';
import { isolates, permits } from './permits.ts';
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

type DropWorld = Pick<DeniedWorld, 'specs' | 'workloads' | 'lookBack'>;

/**
 * Gives each policy what it denied. A connection is denied by every policy that isolates its workload in that direction and
 * has no rule for it. One to where the workload was let through within the look-back is unexpected, unless the change took
 * away on purpose the rule that let it through.
 */
export function noteDenied(
  state: AgentState,
  policies: readonly Chosen[],
  observed: Observed,
  world: DeniedWorld,
  nowMs: number,
): void {
  const denied = observed.flows.filter(({ verdict }) => verdict === 'denied');
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
      if (!world.lookBack.has(place.workload, place, nowMs)) return 'new';
      return before !== null && permits(before, place, world.namesOf) ? 'removed' : 'unexpected';
    });
  }
}

/**
 * Where a workload gets through no more because what is in force took the rule away is nothing that the next change could be
 * blamed for. To be called before that one.
 */
export function dropRemoved(state: AgentState, { specs, workloads, lookBack }: DropWorld): void {
  const inForce = state.good.policies.flatMap((policy) => {
    const spec = specs.get(policy.digest);
    if (spec === null) return [];
    const selected = new Set(selectedBy(spec, workloads).map(({ name }) => name));
    return [{ spec, selected, before: previousSpec(state, policy, specs) }];
  });
  if (inForce.every(({ before }) => before === null)) return;
  lookBack.drop((workload, place, names) => {
    const own = inForce.filter(({ selected }) => selected.has(workload));
    const wasPermitted = own.some(({ before }) => before !== null && permits(before, place, () => names));
    return wasPermitted && !own.some(({ spec }) => permits(spec, place, () => names));
  });
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

function previousSpec(state: AgentState, policy: Chosen, specs: Specs): AllowlistSpec | null {
  const key = targetKey(policy.kind, policy.name);
  // While a change is on its way, what it replaces is what was confirmed last.
  const good = state.good.policies.find(({ kind, name }) => targetKey(kind, name) === key);
  const digest =
    good !== undefined && good.digest !== policy.digest
      ? good.digest
      : state.previous.find((one) => one.key === key)?.digest;
  return digest === undefined ? null : specs.get(digest);
}
