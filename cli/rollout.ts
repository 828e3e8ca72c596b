import type { Command } from 'commander';
import type { CommandContext } from './command-context.ts';
import { addRolloutEvidenceCommand } from './rollout/evidence.ts';
import { addRolloutMoveCommands } from './rollout/move.ts';
import { addRolloutStatusCommand } from './rollout/status.ts';

export function addRolloutCommands(program: Command, context: CommandContext): void {
  const rollout = program.command('rollout').description('follow a rollout, and take it on or back');
  addRolloutStatusCommand(rollout, context);
  addRolloutMoveCommands(rollout, context);
  addRolloutEvidenceCommand(rollout, context);
}
