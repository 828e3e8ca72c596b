import type { Command } from 'commander';
import { Applied } from '../core/model/view.ts';
import { beginRun, type CommandContext } from './command-context.ts';

export function addRestoreCommand(program: Command, context: CommandContext): void {
  program
    .command('restore')
    .description('after the hub came back from a backup: take policy up again, though sites are ahead of it')
    .action(async (_options: object, command: Command) => {
      const run = beginRun(command, context);
      const answer = await run.hub().send('POST', '/api/v1/hub/restore', Applied);
      run.print(answer, () => ['the hub leads again: its documents count as newer than all that sites have']);
    });
}
