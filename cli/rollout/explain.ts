import { RolloutDetail, type RolloutSite } from '../../core/model/policy-view.ts';
import { ROLLOUT_SIGNS, STAGE_SIGNS, siteWhy, VERDICT_SIGNS } from '../../core/rollout-words.ts';
import type { CommandRun } from '../command-context.ts';
import { moment } from '../figures.ts';
import { plainText } from '../table.ts';
import { doneLines } from './done.ts';
import { rolloutPath } from './name.ts';
import { nextLines } from './next.ts';
import { paintSign } from './signs.ts';

/** Says in sentences how a rollout came to where it stands, and what it waits for. */
export async function explainRollout(run: CommandRun, text: string): Promise<void> {
  const { path } = rolloutPath(text.includes('/') ? text : `allowlist/${text}`);
  const detail = await run.hub().get(path, RolloutDetail);
  run.print(detail, () => explanation(detail, run).map((line) => line.trimEnd()));
}

function explanation(
  { rollout, strategy, stage, sites, sitesLeftOut, denied, promoted, acts }: RolloutDetail,
  run: CommandRun,
): string[] {
  const title = (text: string) => run.paint('1', text);
  const lines = [
    `${title(`allowlist/${rollout.name}`)}  generation ${rollout.generation} is ${paintSign(ROLLOUT_SIGNS[rollout.phase], run.paint)}`,
    `  began ${moment(rollout.startedAtMs)}; on failure: ${strategy.onFailure ?? 'rollback'}`,
    ...(rollout.reason === '' ? [] : [`  why: ${plainText(rollout.reason)}`]),
    ...promoted.map(
      ({ virtualSite, generation, mode }) => `  ${virtualSite} runs generation ${generation} (${mode})`,
    ),
  ];
  for (const [i, one] of rollout.stages.entries()) {
    lines.push(
      '',
      `${title(`Stage ${i + 1}: ${one.virtualSite}, ${one.mode}`)}  ${paintSign(STAGE_SIGNS[one.phase], run.paint)}`,
    );
    if (one.startedAtMs === null) lines.push('  has not begun');
    else
      lines.push(
        `  began ${moment(one.startedAtMs)}${one.endedAtMs === null ? '' : `, ended ${moment(one.endedAtMs)}`}`,
      );
    if (one.evaluatedAtMs !== null)
      lines.push(
        `  ${paintSign(VERDICT_SIGNS[one.verdict], run.paint)} at ${moment(one.evaluatedAtMs)}: ${one.counts.passed} passed, ${one.counts.failed} failed, ${one.counts.inconclusive} inconclusive, ${one.counts.notApplicable} not applicable of ${one.counts.sites}`,
      );
    const told = i === stage ? rollout.reason : '';
    for (const reason of one.reasons.filter((text) => !told.includes(text)))
      lines.push(`    ${plainText(reason)}`);
    if (i === stage) lines.push(...siteLines(sites, sitesLeftOut, run));
  }
  const unexpected = denied.filter((one) => one.denied.kind === 'unexpected');
  if (unexpected.length > 0) lines.push('', title('Refused, though it was let through before'));
  for (const { denied: one, count, examples } of unexpected)
    lines.push(
      `  ${count} x ${plainText(one.workload)} to ${plainText(one.name === undefined ? one.address : `${one.name} (${one.address})`)} ${one.port}/${one.protocol} at ${examples.join(', ')}: add it to a rule, or take it from the workload`,
    );
  if (acts.length > 0) lines.push('', title('Done by'), ...doneLines(acts, moment));
  const next = nextLines(rollout);
  return next.length === 0 ? lines : [...lines, '', title('Next'), ...next];
}

function siteLines(sites: readonly RolloutSite[], leftOut: number, { paint }: CommandRun): string[] {
  const lines = sites.map((one) => {
    const why = siteWhy(one);
    return `  ${one.site}: ${paintSign(VERDICT_SIGNS[one.verdict ?? 'unjudged'], paint)}${why === '' ? '' : `, ${plainText(why)}`}`;
  });
  return leftOut > 0 ? [...lines, `  and ${leftOut} more`] : lines;
}
