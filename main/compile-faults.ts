import { compileFaults } from '../core/dataplane/nftables/faults.ts';
import type { AllowlistSpec } from '../core/model/allowlist.ts';
import type { EnforcedPolicy, Workload } from '../core/ports/enforcer.ts';
import type { Fault } from '../core/schema-faults.ts';

/**
 * Why nftables can't express a policy at a site's workloads, below its specification. A site asks with every plan, and a
 * specification never changes: it is read once, also where many sites are in one process.
 */
export function rememberedFaults() {
  const known = new WeakMap<AllowlistSpec, Map<string, readonly Fault[]>>();
  return (policy: EnforcedPolicy, workloads: readonly Workload[]): readonly Fault[] => {
    const ofSpec = known.get(policy.spec) ?? new Map<string, readonly Fault[]>();
    known.set(policy.spec, ofSpec);
    const bound = JSON.stringify(workloads);
    const faults = ofSpec.get(bound) ?? faultsOf(policy, workloads);
    ofSpec.set(bound, faults);
    return faults;
  };
}

function faultsOf(policy: EnforcedPolicy, workloads: readonly Workload[]): Fault[] {
  return compileFaults([policy], workloads).map(({ at, reason, remedy }) => ({
    pointer: at,
    problem: reason,
    remedy,
  }));
}
