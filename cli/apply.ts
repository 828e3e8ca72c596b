import type { Command } from 'commander';
import type { SourceDocument } from '../core/document.ts';
import { Applied } from '../core/model/view.ts';
import { beginRun, type CommandContext, type CommandRun } from './command-context.ts';
import { EXIT, Refusal } from './exit.ts';
import { faultText, readSources } from './source-files.ts';

export function addApplyCommand(program: Command, context: CommandContext): void {
  program
    .command('apply')
    .description('create or update what documents describe; applying them again changes nothing')
    .requiredOption('-f, --file <path...>', 'files, folders, or - for standard input')
    .action(async (options: { file: string[] }, command: Command) => {
      const run = beginRun(command, context);
      const { documents, faults } = await readSources(options.file, context.terminal);
      for (const fault of faults) run.note(faultText(fault));
      if (faults.length > 0) throw new Refusal(EXIT.violations, 'Nothing was applied: correct these first.');
      await applyAll(run, documents);
    });
}

/** In order; the first refusal stops it, and what was applied before it is said. */
async function applyAll(run: CommandRun, documents: readonly SourceDocument[]): Promise<void> {
  const hub = run.hub();
  const applied: Applied[] = [];
  const isText = run.format === 'table' || run.format === 'wide';
  for (const { file, line, document } of documents) {
    const { kind, metadata } = document;
    const path = `/api/v1/policies/${kind}/${encodeURIComponent(metadata.name)}`;
    try {
      const answer = await hub.send('PUT', path, Applied, document);
      applied.push(answer);
      if (isText) run.say(`${kind}/${metadata.name} ${answer.effect}`);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      if (!isText) run.print(applied, () => []);
      const done = `${applied.length} of ${documents.length} were applied.`;
      throw new Refusal(
        error.exitCode,
        `${file}:${line}: ${kind}/${metadata.name}: ${error.message}\n${done}`,
      );
    }
  }
  if (!isText) run.print(applied, () => []);
}
