import type { Command } from 'commander';
import type { SourceDocument, SourceFault } from '../core/document.ts';
import { stageFaults } from '../core/policy/stage-faults.ts';
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
      const { documents, faults: own } = await readSources(options.file, context.terminal);
      const faults = [...own, ...faultsTogether(documents)];
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

/** Allowlists beside the virtual sites of the same documents; those that only a hub knows are left to `plan`. */
function faultsTogether(documents: readonly SourceDocument[]): SourceFault[] {
  const known = documents.flatMap(({ document }) => (document.kind === 'VirtualSite' ? [document] : []));
  const world = {
    virtualSite: (name: string) => known.find(({ metadata }) => metadata.name === name),
    allVirtualSites: () => known,
    allSites: () => [],
    kindOf: () => null,
    others: [],
  };
  return documents.flatMap(({ document, placed }) =>
    document.kind !== 'Allowlist'
      ? []
      : [...stageFaults(document, world)]
          .filter(({ virtualSite }) => world.virtualSite(virtualSite) !== undefined)
          .map(placed),
  );
}
