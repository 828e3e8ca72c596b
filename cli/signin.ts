import type { Command } from 'commander';
import { SignInLink } from '../core/model/view.ts';
import { beginRun, type CommandContext } from './command-context.ts';

export function addSigninCommand(program: Command, context: CommandContext): void {
  program
    .command('signin')
    .description('print a link that signs a browser in once, as the holder of the token in use')
    .action(async (_options: object, command: Command) => {
      const run = beginRun(command, context);
      const link = await run.hub().send('POST', '/api/v1/session/link', SignInLink);
      run.print(link, () => [link.url]);
      if (run.format === 'table' || run.format === 'wide')
        run.note('It signs you in once; it is good for 10 minutes.');
    });
}
