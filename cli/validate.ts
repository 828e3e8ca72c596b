import type { Command } from 'commander';
import { beginRun, type CommandContext } from './command-context.ts';
import { EXIT, Refusal } from './exit.ts';
import { faultText, readSources } from './source-files.ts';

export function addValidateCommand(program: Command, context: CommandContext): void {
  program
    .command('validate')
    .description('check documents without a hub')
    .requiredOption('-f, --file <path...>', 'files, folders, or - for standard input')
    .action(async (options: { file: string[] }, command: Command) => {
      const run = beginRun(command, context);
      const { documents, faults } = await readSources(options.file, context.terminal);
      const value = {
        valid: faults.length === 0,
        documents: documents.map(({ file, line, document }) => ({
          file,
          line,
          kind: document.kind,
          name: document.metadata.name,
        })),
        faults,
      };
      if (run.format === 'json' || run.format === 'yaml') run.print(value, () => []);
      else for (const fault of faults) run.note(faultText(fault));
      if (faults.length > 0) throw new Refusal(EXIT.violations);
      if (run.format === 'table' || run.format === 'wide') run.say(`${documents.length} valid`);
    });
}
