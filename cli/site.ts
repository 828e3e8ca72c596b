import type { Command } from 'commander';
import type { CommandContext } from './command-context.ts';
import { addSiteAddCommand } from './site-add.ts';
import { addSiteLabelCommand } from './site-label.ts';
import { addSiteRemoveCommand } from './site-remove.ts';
import { addSiteTokenCommand } from './site-token.ts';

export function addSiteCommands(program: Command, context: CommandContext): void {
  const site = program.command('site').description('register, label and remove sites');
  addSiteAddCommand(site, context);
  addSiteTokenCommand(site, context);
  addSiteLabelCommand(site, context);
  addSiteRemoveCommand(site, context);
}
