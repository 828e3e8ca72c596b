import type { RolloutAct } from '../../core/model/rollout.ts';
import { actText, whoText } from '../../core/rollout-words.ts';
import { pad, plainText } from '../table.ts';

/** Who did what and when, a line each, as they are given. */
export function doneLines(acts: readonly RolloutAct[], when: (atMs: number) => string): string[] {
  const width = acts.reduce((widest, { atMs }) => Math.max(widest, when(atMs).length), 0);
  return acts.map((act) => plainText(`  ${pad(when(act.atMs), width)}  ${whoText(act)} ${actText(act)}`));
}
