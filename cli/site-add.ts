import type { Command } from 'commander';
import { SITE_KINDS } from '../core/model/site.ts';
import { SiteInvitation } from '../core/model/view.ts';
import { beginRun, type CommandContext } from './command-context.ts';
import { EXIT, Refusal } from './exit.ts';
import { printInvitation } from './invitation.ts';
import { readLabelChanges, setLabels } from './label-changes.ts';

type AddOptions = { label?: string[]; kind?: string };

export function addSiteAddCommand(site: Command, context: CommandContext): void {
  site
    .command('add')
    .description('register a site and print the one command that joins it')
    .argument('<name>', 'lower case letters, digits and hyphens')
    .option('--label <key=value...>', 'labels to give it')
    .option('--kind <kind>', `what it is: ${SITE_KINDS.join(', ')}; its collector says so when left out`)
    .action(async (name: string, { label = [], kind }: AddOptions, command: Command) => {
      const known = SITE_KINDS.find((one) => one === kind);
      if (kind !== undefined && known === undefined)
        throw new Refusal(EXIT.usage, `--kind "${kind}" is not known. It takes ${SITE_KINDS.join(', ')}.`);
      const labels = setLabels(readLabelChanges(label, false));
      const run = beginRun(command, context);
      const body = { name, labels, ...(known && { kind: known }) };
      const invitation = await run.hub().send('POST', '/api/v1/sites', SiteInvitation, body);
      printInvitation(run, invitation);
      if (invitation.note !== undefined) run.note(invitation.note);
    });
}
