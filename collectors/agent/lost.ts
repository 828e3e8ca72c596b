import { targetKey } from '../../core/model/signed.ts';
import { isRefusedBefore, type Plan } from './plan.ts';
import type { Specs } from './specs.ts';
import type { AgentState, Refusal } from './state.ts';

/**
 * Why what was confirmed last can't be put in force again; null when it can. What the machine has is the last that was good
 * then, and is left alone until the hub has said everything and it can be gone on from that.
 */
export function lossOf({ good, isLost }: AgentState, specs: Specs): Refusal | null {
  const gone = good.policies.find(({ digest }) => specs.get(digest) === null);
  if (gone === undefined && isLost !== true) return null;
  const [key, code, what] =
    gone === undefined
      ? (['default/state', 'state-lost', "the site's memory of its policies can't be read"] as const)
      : ([targetKey(gone.kind, gone.name), 'spec-lost', "its specification can't be read any more"] as const);
  return { key, code, detail: `${what}; what is in force stays until the hub has sent everything` };
}

/** Whether all that is wanted can be put in the place of what can't be told any more. */
export function isAllKnown(state: AgentState, { policies, outcomes }: Plan, specs: Specs): boolean {
  // What is in force can't be told apart: it stays as a whole until all that had to be taken back is another attempt.
  const isHeld = state.isLost === true && outcomes.some((outcome) => isRefusedBefore(state, outcome));
  if (state.site === null || isHeld) return false;
  return (
    policies.every(({ digest }) => specs.get(digest) !== null) &&
    outcomes.every((outcome) => outcome.state !== 'pending')
  );
}
