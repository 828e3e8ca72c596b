import type { Command } from 'commander';
import { beginRun, type CommandContext } from './command-context.ts';
import { EXIT, Refusal } from './exit.ts';
import { removeEach } from './removal.ts';

/** Where each kind is deleted, by the names it goes by. */
const PATHS: Record<string, string> = {
  virtualsite: 'policies/VirtualSite',
  'virtual-site': 'policies/VirtualSite',
  vs: 'policies/VirtualSite',
  allowlist: 'policies/Allowlist',
  site: 'sites',
  token: 'tokens',
};

export function addDeleteCommand(program: Command, context: CommandContext): void {
  program
    .command('delete')
    .description('delete resources, as VirtualSite/prod; of several, each is tried')
    .argument('<kind/name...>', 'what to delete')
    .action(async (names: string[], _options: object, command: Command) => {
      const removals = names.map((name) => ({ name, path: pathOf(name) }));
      await removeEach(beginRun(command, context), removals);
    });
}

function pathOf(text: string): string {
  const [kind = '', name = '', ...more] = text.split('/');
  const path = Object.hasOwn(PATHS, kind.toLowerCase()) ? PATHS[kind.toLowerCase()] : undefined;
  if (path === undefined || name === '' || more.length > 0)
    throw new Refusal(
      EXIT.usage,
      `"${text}" names nothing that can be deleted; write VirtualSite/NAME, Allowlist/NAME, Site/NAME or Token/NAME.`,
    );
  return `/api/v1/${path}/${encodeURIComponent(name)}`;
}
