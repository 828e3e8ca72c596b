import type { Command } from '../../core/model/resource.ts';
import { type Rollout, rolloutName } from '../../core/model/rollout.ts';
import { whoText } from '../../core/rollout-words.ts';
import type { Registered } from '../registry.ts';
import { act } from '../rollout/act.ts';
import { askerOf, withAct } from '../rollout/acts.ts';
import type { RolloutSpec } from '../rollout/assigned.ts';
import { type Asked, type Outcome, refuse, stamp } from './outcome.ts';
import { needsApproval, unapproved } from './rollout-approval.ts';
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
  const asker = askerOf(asked);
  const acted = act(before.spec, action, whoText(asker), asked.nowMs);
  if (!acted.ok) return refuse('rollout-phase', acted.detail);
  const begins = acted.told.some(({ kind: told }) => told === 'rollout.stage-started');
  const refused = begins ? unfitNext(acted.spec, asked, registered) : null;
  if (refused !== null) return refused;
  const isApproval = begins && needsApproval(acted.spec.strategy.stages[acted.spec.stage], registered);
  const metadata = stamp(before.metadata.name, asked, before.metadata);
  const spec = withAct(acted.spec, { act: action, atMs: asked.nowMs, ...asker, isApproval });
  const after: Rollout = { ...before, metadata, spec };
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
