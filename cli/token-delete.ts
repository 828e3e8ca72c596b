import type { Command } from 'commander';
import { Applied } from '../core/model/view.ts';
import { beginRun, type CommandContext } from './command-context.ts';

export function addTokenDeleteCommand(token: Command, context: CommandContext): void {
  token
    .command('delete')
    .description('make a token worthless from now on')
    .argument('<name>', 'whose it is')
    .action(async (name: string, _options: object, command: Command) => {
      const run = beginRun(command, context);
      const answer = await run.hub().send('DELETE', `/api/v1/tokens/${encodeURIComponent(name)}`, Applied);
      run.print(answer, () => [`Token/${name} ${answer.effect}`]);
    });
}
