import type { RolloutView } from '../../core/model/policy-view.ts';
import type { RolloutAction } from '../../core/model/rollout.ts';
import { possibleActions } from '../../core/rollout-words.ts';
import { pad } from '../table.ts';

/** What can be done with a rollout now, a command a line with what comes of it; none when it is complete at all sites. */
export function nextLines(rollout: RolloutView): string[] {
  const next = possibleActions(rollout).map((action) => [
    `plumbline rollout ${action} allowlist/${rollout.name}`,
    comesOf(action, rollout),
  ]);
  const hasFailed = ['failed', 'rolled-back'].includes(rollout.stages[rollout.stage]?.phase ?? '');
  if (hasFailed) next.push(['plumbline apply -f FILE', 'begin another generation, corrected']);
  const width = next.reduce((widest, [command = '']) => Math.max(widest, command.length), 0);
  return next.map(([command = '', what]) => `  ${pad(command, width)}  ${what}`);
}

function comesOf(action: RolloutAction, { stage, stages }: RolloutView): string {
  const at = stages[stage];
  switch (action) {
    case 'promote': {
      const to = at?.phase === 'waiting' ? stage : stage + 1;
      return `begin stage ${to + 1}: ${stages[to]?.virtualSite} (${stages[to]?.mode})`;
    }
    case 'pause':
      return 'begin nothing more; what was applied stays';
    case 'resume':
      return `go on at ${at?.virtualSite}`;
    case 'retry':
      return at?.phase === 'passed' || at?.phase === 'waiting'
        ? 'have sites that refused it try it again; what has passed stays so'
        : `begin stage ${stage + 1} and its evidence anew`;
    case 'rollback':
      return `return ${at?.virtualSite} to what it was promoted to before`;
  }
}
