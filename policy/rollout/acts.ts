import type { Command } from '../../core/model/resource.ts';
import { MOST_ACTS, type RolloutAct } from '../../core/model/rollout.ts';
import { type RolloutSpec, stageOf } from './assigned.ts';

/** Who has something done; `by` is empty for the hub itself. */
export type Asker = Pick<RolloutAct, 'by' | 'role'>;
export const HUB_ITSELF: Asker = { by: '', role: null };

export function askerOf({ by, role }: { by: string; role: Command['role'] | undefined }): Asker {
  return { by, role: role === undefined || role === 'site' ? null : role };
}

type Done = Asker & Pick<RolloutAct, 'act' | 'atMs'> & Partial<Pick<RolloutAct, 'isApproval' | 'why'>>;

/** With one more thing done with the stage that it is at. The oldest gives way, the beginning of this generation last. */
export function withAct(spec: RolloutSpec, { isApproval = false, why = '', ...done }: Done): RolloutSpec {
  const { generation, stage, acts, actsLeftOut } = spec;
  const { virtualSite, mode } = stageOf(spec).status;
  const at = { generation, stage, virtualSite, mode };
  const all = [...acts, { ...done, ...at, isApproval, why: why.slice(0, 300) }];
  if (all.length <= MOST_ACTS) return { ...spec, acts: all };
  const oldest = all.findIndex((one) => one.act !== 'apply' || one.generation !== generation);
  return { ...spec, acts: all.toSpliced(Math.max(0, oldest), 1), actsLeftOut: actsLeftOut + 1 };
}
