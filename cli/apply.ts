import type { Command } from 'commander';
import type { SourceDocument } from '../core/document.ts';
import { Applied } from '../core/model/view.ts';
import { beginRun, type CommandContext, type CommandRun } from './command-context.ts';
import { EXIT, Refusal } from './exit.ts';
import { faultText, placedText, readSources } from './source-files.ts';

export function addApplyCommand(program: Command, context: CommandContext): void {
  program
    .command('apply')
    .description('create or update what documents describe; applying them again changes nothing')
    .requiredOption('-f, --file <path...>', 'files, folders, or - for standard input')
    .option('--retry', 'also content that failed its verification before, which begins its rollout anew')
    .action(async (options: { file: string[]; retry?: boolean }, command: Command) => {
      const run = beginRun(command, context);
      const { documents, faults } = await readSources(options.file, context.terminal);
      for (const fault of faults) run.note(faultText(fault));
      if (faults.length > 0) throw new Refusal(EXIT.violations, 'Nothing was applied: correct these first.');
      await applyAll(run, documents, options.retry === true);
    });
}

/** Virtual sites first, since policies name them; else in order. The first refusal stops it, and what was applied before it is said. */
async function applyAll(run: CommandRun, given: readonly SourceDocument[], isRetry: boolean): Promise<void> {
  const isPolicy = ({ document }: SourceDocument) => Number(document.kind === 'Allowlist');
  const documents = given.toSorted((a, b) => isPolicy(a) - isPolicy(b));
  const hub = run.hub();
  const applied: Applied[] = [];
  const isText = run.format === 'table' || run.format === 'wide';
  for (const source of documents) {
    const { file, line, document } = source;
    const { kind, metadata } = document;
    const path = `/api/v1/policies/${kind}/${encodeURIComponent(metadata.name)}`;
    try {
      const query = isRetry ? { retry: 'true' } : {};
      const answer = await hub.send('PUT', path, Applied, document, query);
      applied.push(answer);
      if (isText) run.say(`${kind}/${metadata.name} ${answer.effect}`);
      if (isText && kind === 'Allowlist' && answer.effect !== 'unchanged')
        run.note(`Follow it with \`plumbline rollout status allowlist/${metadata.name} --watch\`.`);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      if (!isText) run.print(applied, () => []);
      const done = `${applied.length} of ${documents.length} were applied.`;
      const [first, ...rest] = error.problem.errors ?? [];
      const more = rest.map(({ pointer, detail }) => `\n${placedText(source, pointer, detail)}`);
      throw new Refusal(
        error.exitCode,
        first === undefined
          ? `${file}:${line}: ${kind}/${metadata.name}: ${error.message}\n${done}`
          : `${placedText(source, first.pointer, first.detail)}${more.join('')}\n${kind}/${metadata.name} was refused [${error.problem.code}]. ${done}`,
      );
    }
  }
  if (!isText) run.print(applied, () => []);
}
