import type { Allowlist } from '../../core/model/rollout.ts';
import {
  type Assignment,
  SEMANTICS,
  type SpecBody,
  type TargetBody,
  TENANT,
} from '../../core/model/signed.ts';
import { guardsAt, railsOf } from '../../core/policy/guards.ts';
import { selectorOf } from '../../core/selector-of.ts';
import type { Registered } from '../registry.ts';
import { coursesOf, type RolloutSpec } from './assigned.ts';
import { seedOf } from './threshold.ts';

/** What a target says, apart from its version and its time. */
export type TargetContent = Omit<TargetBody, 'version' | 'issuedAtMs' | 'expiresAtMs'>;

/** What sites are to be told of a policy: where each virtual site is in its rollout, and whom and what its guard says. */
export function targetContent(spec: RolloutSpec, registered: Registered): TargetContent {
  const { kind, name } = spec.policy;
  const assignments = coursesOf(spec).flatMap(({ virtualSite, current, next, threshold }) => {
    const found = registered.virtualSite(virtualSite)?.spec;
    const selector = found === undefined ? null : selectorOf(found);
    // One that is gone or can't be read selects nobody; control refuses to delete one that is in use.
    if (found === undefined || selector === null) return [];
    const assignment: Assignment = {
      virtualSite,
      selector: selector.map(({ key, operator, values }) => ({ key, operator, values: [...values] })),
      current,
      next,
      threshold,
      seed: seedOf(spec),
      guard: railsOf(guardsAt(virtualSite, registered)),
    };
    return [assignment];
  });
  return { type: 'target', semantics: SEMANTICS, tenant: TENANT, kind, name, absent: false, assignments };
}

/** Of a policy that was deleted. */
export function absentContent(kind: TargetBody['kind'], name: string, lastGeneration: number): TargetContent {
  const said = { type: 'target', semantics: SEMANTICS, tenant: TENANT, kind, name } as const;
  return { ...said, absent: true, lastGeneration, assignments: [] };
}

export function specBody({ metadata, spec }: Allowlist): SpecBody {
  const { generation, digest } = spec;
  const { name } = metadata;
  return { type: 'spec', tenant: TENANT, kind: 'Allowlist', name, generation, digest, spec: spec.spec };
}

/** Generations whose specification is still asked for. */
export function generationsIn({ assignments }: TargetContent): Set<number> {
  return new Set(
    assignments.flatMap(({ current, next }) =>
      [current, next].flatMap((assigned) => (assigned === null ? [] : [assigned.generation])),
    ),
  );
}
