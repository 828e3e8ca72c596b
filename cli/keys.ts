import type { Command } from 'commander';
import { Applied } from '../core/model/view.ts';
import { beginRun, type CommandContext } from './command-context.ts';

export function addKeysCommands(program: Command, context: CommandContext): void {
  const keys = program.command('keys').description('the keys with which the hub signs policy');
  keys
    .command('rotate')
    .description('sign with a new key from now on; the one before still counts')
    .option(
      '--revoke',
      'let only the new key count: sites that were away must hear of it before they obey again',
    )
    .action(async ({ revoke }: { revoke?: boolean }, command: Command) => {
      const run = beginRun(command, context);
      const path = `/api/v1/keys/rotate${revoke === true ? '?revoke=true' : ''}`;
      const answer = await run.hub().send('POST', path, Applied);
      run.print(answer, () => [
        revoke === true ? 'keys rotated; earlier ones are revoked' : 'keys rotated',
        ...(answer.warning === undefined ? [] : [run.paint('31', `but ${answer.warning}`)]),
      ]);
    });
}
