import { PolicyView, RolloutView } from '../core/model/policy-view.ts';
import { ROLLOUT_SIGNS, VERDICT_SIGNS, whyOf } from '../core/rollout-words.ts';
import type { CommandRun } from './command-context.ts';
import { EXIT, Refusal } from './exit.ts';
import { ago } from './figures.ts';
import { paintSign, signOf } from './rollout/signs.ts';
import { type Column, cut } from './table.ts';

export async function getAllowlists(run: CommandRun, name: string | undefined): Promise<void> {
  const nowMs = run.terminal.clock.nowMs();
  const columns: Column<PolicyView>[] = [
    { header: 'ALLOWLIST', text: (policy) => policy.name },
    { header: 'GENERATION', text: ({ generation }) => String(generation), alignRight: true },
    { header: 'RULES', text: ({ rules }) => String(rules), alignRight: true },
    {
      header: 'ROLLOUT',
      text: ({ rollout }) => (rollout === null ? '-' : signOf(ROLLOUT_SIGNS[rollout])),
      paint: ({ rollout }, padded) =>
        rollout === null ? padded : paintSign(ROLLOUT_SIGNS[rollout], run.paint, padded),
    },
    { header: 'STAGE', text: ({ stage }) => stage || '-' },
    {
      header: 'PROMOTED',
      text: ({ promoted }) =>
        promoted
          .map(
            ({ virtualSite, generation, mode }) =>
              `${virtualSite}=${generation}${mode === 'audit' ? ' (audit)' : ''}`,
          )
          .join(', ') || '-',
    },
    { header: 'DIGEST', text: ({ digest }) => digest, wide: true },
    { header: 'CHANGED', text: ({ updatedAtMs }) => ago(updatedAtMs, nowMs) },
    { header: 'BY', text: ({ updatedBy }) => updatedBy },
  ];
  const all = await run.hub().list('/api/v1/policies', PolicyView);
  run.printTable(
    columns,
    named(all, name, 'allowlist'),
    'There are no allowlists yet. Try `plumbline apply -f examples/payments.yaml`.',
  );
}

export async function getRollouts(run: CommandRun, name: string | undefined): Promise<void> {
  const nowMs = run.terminal.clock.nowMs();
  const at = ({ stages, stage }: RolloutView) => stages[stage];
  const columns: Column<RolloutView>[] = [
    { header: 'ROLLOUT', text: (rollout) => `allowlist/${rollout.name}` },
    { header: 'GENERATION', text: ({ generation }) => String(generation), alignRight: true },
    {
      header: 'PHASE',
      text: ({ phase }) => signOf(ROLLOUT_SIGNS[phase]),
      paint: ({ phase }, padded) => paintSign(ROLLOUT_SIGNS[phase], run.paint, padded),
    },
    {
      header: 'STAGE',
      text: (rollout) => `${rollout.stage + 1}/${rollout.stages.length} ${at(rollout)?.virtualSite ?? ''}`,
    },
    { header: 'VERDICT', text: (rollout) => verdictText(at(rollout)) },
    {
      header: 'PASSED',
      text: (rollout) => `${at(rollout)?.counts.passed ?? 0}/${at(rollout)?.counts.sites ?? 0}`,
      alignRight: true,
    },
    { header: 'HITS', text: (rollout) => String(at(rollout)?.hits ?? 0), alignRight: true },
    { header: 'UNEXPECTED', text: (rollout) => String(at(rollout)?.unexpectedDenies ?? 0), alignRight: true },
    { header: 'CHANGED', text: ({ updatedAtMs }) => ago(updatedAtMs, nowMs) },
    {
      header: 'REASON',
      text: (rollout) => cut(whyOf(rollout).join('; '), run.format === 'wide' ? 500 : 100),
    },
  ];
  const all = await run.hub().list('/api/v1/rollouts', RolloutView);
  run.printTable(
    columns,
    named(all, name, 'rollout'),
    'There are no rollouts yet. Applying an allowlist begins one.',
  );
}

function verdictText(stage: RolloutView['stages'][number] | undefined): string {
  return signOf(
    VERDICT_SIGNS[stage === undefined || stage.evaluatedAtMs === null ? 'unjudged' : stage.verdict],
  );
}

function named<T extends { name: string }>(
  all: readonly T[],
  name: string | undefined,
  what: string,
): readonly T[] {
  if (name === undefined) return all;
  const wanted = name.replace(/^allowlist\//i, '');
  const found = all.filter((one) => one.name === wanted);
  if (found.length === 0)
    throw new Refusal(
      EXIT.violations,
      `There is no ${what} "${wanted}". \`plumbline get ${what}s\` lists them.`,
    );
  return found;
}
