import { type Command, InvalidArgumentError } from 'commander';
import { RolloutEvidence, type StoredDecision } from '../../core/model/policy-view.ts';
import { plural } from '../../core/plural.ts';
import { beginRun, type CommandContext } from '../command-context.ts';
import { EXIT, Refusal } from '../exit.ts';
import { moment, percent, stretch } from '../figures.ts';
import { plainText } from '../table.ts';
import { doneLines } from './done.ts';
import { rolloutPath } from './name.ts';

export function addRolloutEvidenceCommand(rollout: Command, context: CommandContext): void {
  rollout
    .command('evidence')
    .description('what each decision rested on, as text for a change ticket')
    .argument('<kind/name>', 'as allowlist/payments')
    .option(
      '--generation <number>',
      'of this one; of the one decided about last when left out',
      readGeneration,
    )
    .option('--recompute', 'ask the stored rows again; exit 1 when a verdict differs, or is too old for it')
    .action(async (text: string, options: { generation?: number; recompute?: boolean }, command: Command) => {
      const { path } = rolloutPath(text);
      const run = beginRun(command, context);
      const answer = await run.hub().get(`${path}/evidence`, RolloutEvidence, {
        generation: options.generation?.toString(),
        recompute: options.recompute === true ? 'true' : undefined,
      });
      if (answer.decisions.length === 0)
        run.note(
          `No decision about generation ${answer.generation} was recorded; \`plumbline rollout status ${text}\` shows where it stands.`,
        );
      if (answer.acts.length === 0)
        run.note('Who did what is not in its rollout any more; `plumbline get events` has it.');
      run.print(answer, () => evidenceLines(answer));
      const asked = answer.decisions.flatMap(({ recomputed }) => recomputed ?? []);
      if (asked.some((one) => one.outcome === 'answered' && !one.isSame))
        throw new Refusal(EXIT.violations, 'The stored rows do not give the same verdict.');
      if (asked.some(({ outcome }) => outcome === 'expired'))
        throw new Refusal(EXIT.violations, 'Some decisions are older than the reports that are kept.');
    });
}

/** Oldest first, as it happened. */
function evidenceLines({ kind, name, generation, acts, decisions }: RolloutEvidence): string[] {
  const policy = `${kind} ${name}`;
  const done = doneLines(acts, moment).map((line, i) => (acts[i]?.why ? `${line}: ${acts[i].why}` : line));
  const parts = decisions.toReversed().map((decision) => decisionLines(policy, decision));
  if (done.length > 0) parts.unshift([`${policy}, generation ${generation}: done by`, ...done]);
  return parts
    .flatMap((lines, i) => (i === 0 ? lines : ['', ...lines]))
    .map((line) => plainText(line).trimEnd());
}

function readGeneration(text: string): number {
  const generation = Number(text);
  if (!Number.isInteger(generation) || generation < 1)
    throw new InvalidArgumentError('It takes a whole number from 1 on.');
  return generation;
}

function decisionLines(policy: string, decision: StoredDecision): string[] {
  const { generation, stage, question, verdict, reasons, decidedAtMs, verifierVersion, sites, recomputed } =
    decision;
  const { startedAtMs, digest, mode, minHits, minHitsTotal, maxUnexpectedDenies } = question;
  const asked = [
    `soak ${stretch(question.soakMs)}`,
    `hits >= ${minHits} a site and ${minHitsTotal} in all`,
    `unexpected denies <= ${maxUnexpectedDenies}`,
    `score drop <= ${question.maxScoreDrop}`,
    `passed >= ${percent(question.minConclusive)}`,
    `failed <= ${question.maxFailures}`,
  ];
  return [
    `${policy}, generation ${generation}, stage ${stage + 1} (${mode}): ${verdict.toUpperCase()}`,
    `  decided   ${moment(decidedAtMs)}, by verifier version ${verifierVersion}`,
    `  observed  ${moment(startedAtMs)} to ${moment(decidedAtMs)} (reports received until then)`,
    `  content   digest ${digest}`,
    `  asked     ${asked.join(', ')}`,
    ...(question.newRules.length === 0 ? [] : [`  new rules ${question.newRules.join(', ')}`]),
    ...(question.probes.length === 0 ? [] : [`  probes    ${question.probes.join(', ')}`]),
    ...reasons.map((reason) => `  because   ${reason}`),
    ...(recomputed === undefined ? [] : [`  again     ${againText(recomputed)}`]),
    `  sites     ${sites.length}`,
    ...sites.flatMap(siteLines),
    ...(decision.sitesLeftOut > 0 ? [`    and ${decision.sitesLeftOut} more`] : []),
  ];
}

function againText(recomputed: NonNullable<StoredDecision['recomputed']>): string {
  if (recomputed.outcome === 'expired')
    return `can't be asked: reports that it rests on were kept until ${moment(recomputed.keptUntilMs)}; the evidence below is what they said`;
  return recomputed.isSame
    ? 'the stored rows give the same verdict'
    : `the stored rows differ: ${recomputed.differences.join('; ')}`;
}

function siteLines({ site, verdict, reasons, evidence }: StoredDecision['sites'][number]): string[] {
  const lines = [
    `    ${site}: ${verdict}${reasons.length === 0 ? '' : ` (${reasons.map(({ text }) => text).join('; ')})`}`,
  ];
  const newest = evidence?.newest;
  if (evidence === null || newest === undefined || newest === null) return lines;
  const before = new Map(evidence.hitsBefore.map(({ rule, hits }) => [rule, hits]));
  const hits = newest.rules.map(({ rule, hits }) => `${rule} ${hits - (before.get(rule) ?? 0)}`).join(', ');
  lines.push(
    `      ${plural(evidence.reports, 'report')} of ${plural(evidence.boots, 'boot')}, ${evidence.missing} missing; ${newest.phase}, generation ${newest.generation}, ${newest.live ? 'live' : 'not live'}`,
    `      hits: ${hits || 'no rule'}; denies ${newest.denies}, unexpected ${newest.unexpectedDenies}`,
  );
  for (const { workload, name, address, port, protocol, count, kind } of newest.denied)
    lines.push(
      `      refused ${count} x ${workload} to ${name === undefined ? '' : `${name} `}${address} ${port}/${protocol} (${kind})`,
    );
  for (const { name, expect, outcome, control } of newest.probes)
    lines.push(`      probe ${name}: expected ${expect}, ${outcome}; control ${control}`);
  return lines;
}
