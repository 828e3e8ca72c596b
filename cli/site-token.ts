import type { Command } from 'commander';
import { SiteInvitation } from '../core/model/view.ts';
import { beginRun, type CommandContext } from './command-context.ts';
import { printInvitation } from './invitation.ts';

export function addSiteTokenCommand(site: Command, context: CommandContext): void {
  site
    .command('token')
    .description(
      "print a new command that joins a registered site; the one before and the site's present key are void at once",
    )
    .argument('<name>', "the site's name")
    .action(async (name: string, _options: object, command: Command) => {
      const run = beginRun(command, context);
      const path = `/api/v1/sites/${encodeURIComponent(name)}/token`;
      const invitation = await run.hub().send('POST', path, SiteInvitation, {});
      printInvitation(run, invitation);
      if (invitation.note !== undefined) run.note(invitation.note);
    });
}
