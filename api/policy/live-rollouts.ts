import type { RolloutView } from '../../core/model/policy-view.ts';
import type { Rollout } from '../../core/model/rollout.ts';
import { isOver } from '../../core/rollout-words.ts';
import { rolloutView } from './rollout-view.ts';

/** Every delta carries all of them, so there are few, and of each reason only the first ones. */
const ROLLOUTS_SHOWN = 50;
const REASONS_SHOWN = 2;

/** The rollouts of the live view: those on their way first, then the newest. */
export function liveRollouts(rollouts: Iterable<Rollout>): RolloutView[] {
  return [...rollouts]
    .map(rolloutView)
    .sort((a, b) => Number(isOver(a)) - Number(isOver(b)) || b.updatedAtMs - a.updatedAtMs)
    .slice(0, ROLLOUTS_SHOWN)
    .map((view) => ({
      ...view,
      stages: view.stages.map((stage) => ({ ...stage, reasons: stage.reasons.slice(0, REASONS_SHOWN) })),
    }));
}
