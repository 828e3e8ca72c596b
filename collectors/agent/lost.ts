import { targetKey } from '../../core/model/signed.ts';
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
