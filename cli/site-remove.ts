import type { Command } from 'commander';
import { Applied } from '../core/model/view.ts';
import { beginRun, type CommandContext } from './command-context.ts';

export function addSiteRemoveCommand(site: Command, context: CommandContext): void {
  site
    .command('remove')
    .description('forget a site; its collector is turned away from now on')
    .argument('<name>', "the site's name")
    .action(async (name: string, _options: object, command: Command) => {
      const run = beginRun(command, context);
      const answer = await run.hub().send('DELETE', `/api/v1/sites/${encodeURIComponent(name)}`, Applied);
      run.print(answer, () => [`Site/${name} ${answer.effect}`]);
    });
}
