import type { Command } from 'commander';
import type { SourceDocument } from '../core/document.ts';
import { Plan } from '../core/model/plan.ts';
import { plural } from '../core/plural.ts';
import { beginRun, type CommandContext } from './command-context.ts';
import { EXIT, Refusal } from './exit.ts';
import type { Paint } from './sign.ts';
import { faultText, placedText, readSources } from './source-files.ts';
import { type Column, plainText, renderTable } from './table.ts';

export function addPlanCommand(program: Command, context: CommandContext): void {
  program
    .command('plan')
    .description('say what allowlists would do, without doing it; exit 1 when something keeps them from it')
    .requiredOption('-f, --file <path...>', 'files, folders, or - for standard input')
    .action(async (options: { file: string[] }, command: Command) => {
      const run = beginRun(command, context);
      const { documents, faults } = await readSources(options.file, context.terminal);
      for (const fault of faults) run.note(faultText(fault));
      if (faults.length > 0) throw new Refusal(EXIT.violations, 'Nothing was planned: correct these first.');
      const policies = documents.filter(({ document }) => document.kind === 'Allowlist');
      if (policies.length === 0)
        throw new Refusal(
          EXIT.usage,
          `There is no allowlist in ${options.file.join(', ')}; only those have a plan.`,
        );
      const virtualSites = documents.flatMap(({ document }) =>
        document.kind === 'VirtualSite' ? [document] : [],
      );
      const hub = run.hub();
      const plans: Plan[] = [];
      for (const { document } of policies) {
        const path = `/api/v1/policies/Allowlist/${encodeURIComponent(document.metadata.name)}/plan`;
        plans.push(await hub.send('POST', path, Plan, { document, virtualSites }));
      }
      run.print(plans, () =>
        plans.flatMap((plan, i) => [...(i === 0 ? [] : ['']), ...planLines(plan, policies[i], run.paint)]),
      );
      const broken = plans.reduce((sum, { violations }) => sum + violations.length, 0);
      if (broken > 0)
        throw new Refusal(
          EXIT.violations,
          `${plural(broken, 'thing keeps', 'things keep')} it from being rolled out.`,
        );
    });
}

type PlannedStage = Plan['stages'][number];

function planLines(plan: Plan, source: SourceDocument | undefined, paint: Paint): string[] {
  const title = (text: string) => paint('1', text);
  const place = source === undefined ? '' : `  (${source.file}:${source.line})`;
  return [
    `${title(`allowlist/${plan.name}`)}  generation ${plan.generation}, ${plan.effect}${place}`,
    `  digest ${plan.digest}`,
    '',
    title('Sites'),
    ...renderTable(STAGE_COLUMNS, plan.stages, false),
    ...plan.stages.flatMap(({ shown, virtualSite }) =>
      shown
        .filter(({ outcome }) => outcome !== 'applies')
        .slice(0, 20)
        .map(({ site, outcome }) => `    ${virtualSite}/${site}: ${OUTCOMES[outcome]}`),
    ),
    '',
    title('Compiled difference'),
    ...differenceLines(plan, paint),
    ...section(
      'Names',
      plan.names.map(({ host, opens }) => `${host}: ${opens}`),
      title,
    ),
    ...section(
      'Overlaps',
      plan.overlaps.map(
        ({ policy, sites, examples, workloads, busy }) =>
          `allowlist/${policy} selects ${workloads.join(', ')} at ${sites} of these sites too (${examples.join(', ')}): both let through what they name${busy ? '; its rollout there has to pass or go first' : ''}`,
      ),
      title,
    ),
    ...section('Notes', plan.notes, title),
    ...section(
      'Violations',
      plan.violations.map(({ pointer, problem, remedy }) => {
        const text = `${problem}; ${remedy}`;
        return paint('31', source === undefined ? `${pointer}: ${text}` : placedText(source, pointer, text));
      }),
      title,
    ),
  ];
}

const OUTCOMES: Readonly<Record<PlannedStage['shown'][number]['outcome'], string>> = {
  applies: 'applies',
  'not-applicable': 'selects no workload there',
  off: 'enforcement is off there, and its owner has to turn it on',
  disarmed: 'its owner let go (disarm)',
  unsupported: "can't enforce it",
  unknown: 'has not said yet what it has',
};

const STAGE_COLUMNS: Column<PlannedStage>[] = [
  { header: '  STAGE', text: ({ virtualSite }) => `  ${virtualSite}` },
  { header: 'MODE', text: ({ mode }) => mode },
  { header: 'SITES', text: ({ sites }) => String(sites), alignRight: true },
  { header: 'APPLIES', text: ({ byOutcome }) => String(byOutcome.applies ?? 0), alignRight: true },
  {
    header: 'OTHERWISE',
    text: ({ byOutcome }) =>
      Object.entries(byOutcome)
        .filter(([outcome]) => outcome !== 'applies')
        .map(([outcome, count]) => `${count} ${outcome}`)
        .join(', ') || '-',
  },
];

function differenceLines({ differences, differencesLeftOut }: Plan, paint: Paint): string[] {
  if (differences.length === 0) return ['  none: it applies nowhere, or can’t be compiled'];
  const lines = differences.flatMap(({ mode, virtualSites, lines, linesLeftOut, ...where }) => [
    `  ${virtualSites.join(', ')}, ${mode}: ${placeText(where)}`,
    ...(lines.length === 0
      ? ['    no change']
      : lines.map((line) => `    ${colored(plainText(line), paint)}`)),
    ...(linesLeftOut > 0 ? [`    and ${plural(linesLeftOut, 'more line')}`] : []),
  ]);
  return differencesLeftOut > 0
    ? [...lines, `  and ${plural(differencesLeftOut, 'more kind of sites', 'more kinds of sites')}`]
    : lines;
}

function placeText({
  sites,
  examples,
  dataplane,
  workloads,
}: Pick<Plan['differences'][number], 'sites' | 'examples' | 'dataplane' | 'workloads'>): string {
  const more = sites > examples.length ? ', ...' : '';
  return `${plural(sites, 'site')} (${examples.join(', ')}${more}), ${dataplane}, ${workloads.join(', ')}`;
}

function colored(line: string, paint: Paint): string {
  if (line.startsWith('+')) return paint('32', line);
  return line.startsWith('-') ? paint('31', line) : line;
}

function section(name: string, items: readonly string[], title: (text: string) => string): string[] {
  return items.length === 0 ? [] : ['', title(name), ...items.map((item) => `  ${item}`)];
}
