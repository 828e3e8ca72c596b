import type { Command } from 'commander';
import { ROLES } from '../core/model/role.ts';
import { TokenView } from '../core/model/view.ts';
import { beginRun, type CommandContext } from './command-context.ts';
import { EXIT, Refusal } from './exit.ts';

export function addTokenCreateCommand(token: Command, context: CommandContext): void {
  token
    .command('create')
    .description('make a token and print it, once')
    .argument('<name>', 'whose it is')
    .requiredOption('--role <role>', `what it may do: ${ROLES.join(', ')}`)
    .action(async (name: string, { role }: { role: string }, command: Command) => {
      const known = ROLES.find((one) => one === role);
      if (known === undefined)
        throw new Refusal(EXIT.usage, `--role "${role}" is not known. It takes ${ROLES.join(', ')}.`);
      const run = beginRun(command, context);
      const made = await run.hub().send('POST', '/api/v1/tokens', TokenView, { name, role: known });
      run.print(made, () => [made.token ?? '']);
      if (run.format === 'table' || run.format === 'wide')
        run.note(`This is the token of ${made.name} (${made.role}). Keep it: it can't be shown again.`);
    });
}
