import type { Stage } from '../../core/model/allowlist.ts';
import type { Registered } from '../registry.ts';
import type { RolloutSpec } from '../rollout/assigned.ts';
import { type Asked, type Outcome, refuse } from './outcome.ts';

export function needsApproval(stage: Stage | undefined, registered: Registered): boolean {
  if (stage === undefined) return false;
  return registered.virtualSite(stage.virtualSite)?.spec.guard?.approval === 'required';
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
  if (stage === undefined || !needsApproval(stage, registered)) return null;
  const { virtualSite } = stage;
  if (role !== 'approver' && role !== 'admin')
    return refuse(
      'forbidden',
      `virtual site ${virtualSite} asks for approval: an approver or admin lets it begin there; ${by} is ${role ?? 'nobody'}`,
    );
  if (spec.authors.includes(by))
    return refuse(
      'forbidden',
      `virtual site ${virtualSite} asks for approval, and nobody approves their own: ${by} applied generation ${spec.generation}; another approver or admin has to let it begin there`,
    );
  return null;
}
