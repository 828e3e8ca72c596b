import type { SiteInvitation } from '../core/model/view.ts';
import type { CommandRun } from './command-context.ts';
import { stretch } from './figures.ts';

/** The one command that joins the site is all of standard output, so that it can be piped; the rest is a note. */
export function printInvitation(run: CommandRun, invitation: SiteInvitation): void {
  const left = stretch(invitation.expiresAtMs - run.terminal.clock.nowMs());
  run.print(invitation, () => [invitation.command]);
  if (run.format === 'table' || run.format === 'wide')
    run.note(
      `Run this in a checkout of Plumbline at ${invitation.site}. The token in it is good once and for ${left}; it can't be shown again.`,
    );
}
