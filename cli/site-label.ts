import type { Command } from 'commander';
import { Applied } from '../core/model/view.ts';
import { beginRun, type CommandContext } from './command-context.ts';
import { readLabelChanges } from './label-changes.ts';

export function addSiteLabelCommand(site: Command, context: CommandContext): void {
  site
    .command('label')
    .description("change a site's given labels: key=value sets one, key- takes it away")
    .argument('<name>', "the site's name")
    .argument('<changes...>', 'key=value or key-')
    .action(async (name: string, changes: string[], _options: object, command: Command) => {
      const labels = readLabelChanges(changes, true);
      const run = beginRun(command, context);
      const path = `/api/v1/sites/${encodeURIComponent(name)}`;
      const answer = await run.hub().send('PATCH', path, Applied, { labels });
      run.print(answer, () => [`Site/${name} ${answer.effect}`]);
    });
}
