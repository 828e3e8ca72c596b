import type { Command } from 'commander';
import type { CommandContext } from './command-context.ts';
import { addTokenCreateCommand } from './token-create.ts';
import { addTokenDeleteCommand } from './token-delete.ts';

export function addTokenCommands(program: Command, context: CommandContext): void {
  const token = program.command('token').description('give people and programs access, and take it away');
  addTokenCreateCommand(token, context);
  addTokenDeleteCommand(token, context);
}
