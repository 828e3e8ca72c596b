import type { Command } from 'commander';
import { Restored } from '../core/model/view.ts';
import { beginRun, type CommandContext } from './command-context.ts';
import { EXIT, Refusal } from './exit.ts';

export function addRestoreCommand(program: Command, context: CommandContext): void {
  program
    .command('restore')
    .description(
      'after the hub came back from a backup: take policy up again where sites are ahead of it, and note what reports it lost; exit 1 when sites refuse what it signs all the same',
    )
    .action(async (_options: object, command: Command) => {
      const run = beginRun(command, context);
      const answer = await run.hub().send('POST', '/api/v1/hub/restore', Restored);
      run.print(answer, () => [
        answer.detail,
        ...(answer.warning === undefined ? [] : [run.paint('31', `but ${answer.warning}`)]),
      ]);
      if (answer.warning !== undefined) throw new Refusal(EXIT.violations);
    });
}
