import type { EgressRule, IngressRule } from '../../model/allowlist.ts';
import type { EnforcedPolicy, Wanted, Workload } from '../../ports/enforcer.ts';
import { matches, parseSelector } from '../../selector.ts';
import type { Direction, Hook } from './identifiers.ts';

/** One direction of one workload, and the policies that are about it. */
export type Scope = {
  workload: Workload;
  direction: Direction;
  hook: Hook;
  revision: number;
  enforced: readonly EnforcedPolicy[];
  audits: readonly EnforcedPolicy[];
};

/** Whether a policy is about a workload. */
export function selects(policy: EnforcedPolicy, workload: Workload): boolean {
  const parsed = parseSelector(policy.spec.workloads);
  return parsed.ok && matches(parsed.selector, workload.labels);
}

/** All that is watched. What comes in to a user's sockets is not: the kernel can't tell whose they are there. */
export function scopesOf({ workloads, policies, revision }: Wanted): Scope[] {
  return workloads.flatMap((workload) => {
    const { binding } = workload;
    const hook: Hook = binding.kind === 'user' ? 'output' : 'forward';
    const directions: Direction[] = binding.kind === 'user' ? ['egress'] : ['egress', 'ingress'];
    return directions.map((direction): Scope => {
      const about = policies.filter(
        (policy) => policy.spec[direction] !== undefined && selects(policy, workload),
      );
      return {
        workload,
        direction,
        hook,
        revision,
        enforced: about.filter(({ mode }) => mode === 'enforce'),
        audits: about.filter(({ mode }) => mode === 'audit'),
      };
    });
  });
}

export function rulesOf(policy: EnforcedPolicy, direction: Direction): readonly (EgressRule | IngressRule)[] {
  return policy.spec[direction] ?? [];
}
