import type { Command } from '../../core/model/resource.ts';
import { type Rollout, rolloutName } from '../../core/model/rollout.ts';
import type { Registered } from '../registry.ts';
import { act } from '../rollout/act.ts';
import type { RolloutSpec } from '../rollout/assigned.ts';
import { type Asked, type Outcome, refuse, stamp } from './outcome.ts';
import { unapproved } from './rollout-approval.ts';
import { brokenGuard, busy } from './stage-rules.ts';
import { tooLong } from './target-size.ts';

type Move = Extract<Command['do'], { verb: 'rollout' }>;

/** Promotes, pauses, resumes, rolls back or tries again. */
export function moveRollout({ action, kind, name }: Move, asked: Asked, registered: Registered): Outcome {
  const before = registered.rollout(rolloutName(kind, name));
  if (before === undefined)
    return refuse(
      'not-found',
      `there is no rollout of ${kind} ${name}; \`plumbline get rollouts\` lists what there is`,
    );
  const acted = act(before.spec, action, asked.by, asked.nowMs);
  if (!acted.ok) return refuse('rollout-phase', acted.detail);
  if (action === 'promote' || action === 'retry') {
    const refused = unfitNext(acted.spec, asked, registered);
    if (refused !== null) return refused;
  }
  const metadata = stamp(before.metadata.name, asked, before.metadata);
  const after: Rollout = { ...before, metadata, spec: acted.spec };
  return { ok: true, effect: 'updated', changes: [{ put: after }], told: acted.told };
}

/** Why the stage that would begin may not. */
function unfitNext(after: RolloutSpec, asked: Asked, registered: Registered): Outcome | null {
  const stage = after.strategy.stages[after.stage];
  const virtualSite = stage && registered.virtualSite(stage.virtualSite)?.spec;
  const allowlist = registered.allowlist(after.policy.name);
  if (stage === undefined || virtualSite === undefined || allowlist === undefined)
    return refuse('not-found', `virtual site ${stage?.virtualSite ?? ''} of the next stage is gone`);
  return (
    unapproved(after, stage, asked, registered) ??
    brokenGuard(allowlist.spec.spec, stage, registered, `/rollout/stages/${after.stage}`) ??
    busy(after.policy.name, stage.virtualSite, registered) ??
    tooLong(after, registered)
  );
}
