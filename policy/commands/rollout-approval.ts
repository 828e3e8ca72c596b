import type { Stage } from '../../core/model/allowlist.ts';
import { asksApproval, guardsAt, ownerOf } from '../../core/policy/guards.ts';
import type { Registered } from '../registry.ts';
import type { RolloutSpec } from '../rollout/assigned.ts';
import { type Asked, type Outcome, refuse } from './outcome.ts';

export function needsApproval(stage: Stage | undefined, registered: Registered): boolean {
  if (stage === undefined) return false;
  return asksApproval(guardsAt(stage.virtualSite, registered)) !== undefined;
}

/**
 * Where a guard asks for approval, an approver or administrator lets the stage begin, and never one who applied what it
 * brings. Null when whoever asks may.
 */
export function unapproved(
  spec: RolloutSpec,
  stage: Stage | undefined,
  { by, role }: Asked,
  registered: Registered,
): Outcome | null {
  const held = stage === undefined ? undefined : asksApproval(guardsAt(stage.virtualSite, registered));
  if (held === undefined) return null;
  const owner = ownerOf(held);
  if (role !== 'approver' && role !== 'admin')
    return refuse(
      'forbidden',
      `the guard of ${owner} asks for approval: an approver or admin lets it begin there; ${by} is ${role ?? 'nobody'}`,
    );
  if (spec.authors.includes(by))
    return refuse(
      'forbidden',
      `the guard of ${owner} asks for approval, and nobody approves their own: ${by} applied generation ${spec.generation}; another approver or admin has to let it begin there`,
    );
  return null;
}
