import type { Command } from 'commander';
import { SiteView } from '../core/model/view.ts';
import { beginRun, type CommandContext, type CommandRun } from './command-context.ts';
import { EXIT, Refusal } from './exit.ts';
import { removeEach } from './removal.ts';

/** So that removing a fleet is not one exchange after another. */
const AT_ONCE = 8;

type RemoveOptions = { selector?: string; yes?: boolean };

export function addSiteRemoveCommand(site: Command, context: CommandContext): void {
  site
    .command('remove')
    .description('forget sites; their collectors are turned away from now on')
    .argument('[name]', "the site's name")
    .option('-l, --selector <selector>', 'all sites whose labels match, as simulated')
    .option('--yes', 'with -l: remove them; without it they are counted only')
    .action(async (name: string | undefined, { selector, yes }: RemoveOptions, command: Command) => {
      const isOne = name !== undefined;
      // An empty selector selects every site, which nobody means here.
      if (isOne === (selector !== undefined) || selector?.trim() === '')
        throw new Refusal(EXIT.usage, 'Give the name of one site, or a selector with -l.');
      const run = beginRun(command, context);
      const names = isOne ? [name] : await namesOf(run, selector ?? '');
      if (!isOne && names.length === 0) {
        run.note('No site matches.');
        return;
      }
      if (!isOne && !yes)
        throw new Refusal(
          EXIT.usage,
          `${names.length === 1 ? '1 site matches' : `${names.length} sites match`} (${examples(names)}). Nothing was removed; add --yes to remove them.`,
        );
      await removeEach(run, names.map(removalOf), AT_ONCE);
    });
}

async function namesOf(run: CommandRun, selector: string): Promise<string[]> {
  const sites = await run.hub().list('/api/v1/sites', SiteView, { selector });
  return sites.map(({ id }) => id);
}

function examples(names: readonly string[]): string {
  return `${names.slice(0, 3).join(', ')}${names.length > 3 ? ' …' : ''}`;
}

function removalOf(name: string): { name: string; path: string } {
  return { name: `Site/${name}`, path: `/api/v1/sites/${encodeURIComponent(name)}` };
}
