import type { DeniedView, RolloutDetail, RolloutSite, RuleHits } from '../../core/model/policy-view.ts';
import { ROLLOUT_SIGNS, STAGE_SIGNS, siteWhy, VERDICT_SIGNS, whyOf } from '../../core/rollout-words.ts';
import { ago, moment } from '../figures.ts';
import type { Paint } from '../sign.ts';
import { type Column, plainText, renderTable } from '../table.ts';
import { doneLines } from './done.ts';
import { nextLines } from './next.ts';
import { paintSign, signOf } from './signs.ts';

type Stage = RolloutDetail['rollout']['stages'][number];

/** The newest of them; `explain` and `evidence` have all. */
const ACTS_SHOWN = 5;

/** Where a rollout stands, as lines for a terminal. */
export function statusLines(detail: RolloutDetail, paint: Paint, nowMs: number, isWide: boolean): string[] {
  const { rollout, stage, rules, denied, sites, sitesLeftOut } = detail;
  const title = (text: string) => paint('1', text);
  const at = rollout.stages[rollout.stage];
  const lines = [
    ...troubleLines(detail, paint),
    `${title(`allowlist/${rollout.name}`)}  generation ${rollout.generation}  ${paintSign(ROLLOUT_SIGNS[rollout.phase], paint)}  stage ${rollout.stage + 1} of ${rollout.stages.length}: ${at?.virtualSite ?? '-'}`,
    `  changed ${ago(rollout.updatedAtMs, nowMs)} by ${rollout.updatedBy}`,
    ...whyOf(rollout).map((reason) => `  ${plainText(reason)}`),
    '',
    ...section(title('Next'), nextLines(rollout)),
    ...renderTable(stageColumns(detail, paint), rollout.stages, isWide),
    '',
    title(`New connections by rule, stage ${stage + 1}${asOf(detail)}`),
    ...(rules.length === 0 ? ['  none is judged yet'] : renderTable(RULE_COLUMNS, rules, isWide)),
    '',
    title('Refused, by the newest reports of all sites'),
    ...(denied.length === 0 ? ['  nothing'] : renderTable(deniedColumns(paint), denied, isWide)),
    '',
    ...section(
      title('Done by'),
      doneLines(detail.acts.slice(-ACTS_SHOWN), (atMs) => ago(atMs, nowMs)),
    ),
    title(`Sites of stage ${stage + 1}${asOf(detail)}`),
    ...(sites.length === 0 ? ['  none'] : renderTable(siteColumns(paint), sites, isWide)),
  ];
  if (sitesLeftOut > 0) lines.push(`  and ${sitesLeftOut} more`);
  return lines;
}

/** What is wrong with policy as a whole comes first: no rollout goes on as it should meanwhile. */
function troubleLines({ troubles = [] }: RolloutDetail, paint: Paint): string[] {
  const critical = troubles.filter(({ severity }) => severity === 'critical');
  return critical.map(({ detail, remedy }) => paint('31', plainText(`■ ${detail} → ${remedy}`)));
}

function section(title: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : [title, ...lines, ''];
}

/** Of when the stage's verdict is, its counts, its rules and its sites: of one evaluation. */
function asOf({ judgedAtMs }: RolloutDetail): string {
  return judgedAtMs === null ? '' : `, as of ${moment(judgedAtMs)}`;
}

function stageColumns({ rollout }: RolloutDetail, paint: Paint): Column<Stage>[] {
  const count = (header: string, key: keyof Stage['counts'], wide = false): Column<Stage> => ({
    header,
    text: ({ counts }) => String(counts[key]),
    alignRight: true,
    wide,
  });
  const isAt = (stage: Stage) => rollout.stages[rollout.stage] === stage;
  return [
    { header: 'STAGE', text: (stage) => `${isAt(stage) ? '>' : ' '} ${rollout.stages.indexOf(stage) + 1}` },
    { header: 'VIRTUAL SITE', text: ({ virtualSite }) => virtualSite },
    { header: 'MODE', text: ({ mode }) => mode },
    {
      header: 'PHASE',
      text: ({ phase }) => signOf(STAGE_SIGNS[phase]),
      paint: ({ phase }, padded) => paintSign(STAGE_SIGNS[phase], paint, padded),
    },
    {
      header: 'VERDICT',
      text: (stage) => signOf(verdictOf(stage)),
      paint: (stage, padded) => paintSign(verdictOf(stage), paint, padded),
    },
    count('SITES', 'sites'),
    count('APPLIED', 'applied'),
    count('PASSED', 'passed'),
    count('FAILED', 'failed'),
    count('UNSURE', 'inconclusive'),
    count('N/A', 'notApplicable'),
    { header: 'HITS', text: ({ hits }) => String(hits), alignRight: true },
    { header: 'UNEXPECTED', text: ({ unexpectedDenies }) => String(unexpectedDenies), alignRight: true },
  ];
}

/** A stage that has not begun has no verdict yet, whatever stands in its place. */
function verdictOf(stage: Stage) {
  return VERDICT_SIGNS[stage.evaluatedAtMs === null ? 'unjudged' : stage.verdict];
}

const RULE_COLUMNS: Column<RuleHits>[] = [
  { header: '  RULE', text: ({ rule }) => `  ${rule}` },
  { header: 'HITS', text: ({ hits }) => String(hits), alignRight: true },
  { header: 'SITES', text: ({ sites }) => String(sites), alignRight: true },
  { header: 'BY PROBES', text: ({ probeHits }) => String(probeHits), alignRight: true },
];

function deniedColumns(paint: Paint): Column<DeniedView>[] {
  return [
    {
      header: '  KIND',
      text: ({ denied }) => `  ${denied.kind}`,
      paint: ({ denied }, padded) => (denied.kind === 'unexpected' ? paint('31', padded) : padded),
    },
    { header: 'WORKLOAD', text: ({ denied }) => denied.workload },
    { header: 'DIRECTION', text: ({ denied }) => denied.direction, wide: true },
    {
      header: 'DESTINATION',
      text: ({ denied: { name, address } }) => (name === undefined ? address : `${name} (${address})`),
    },
    { header: 'PORT', text: ({ denied }) => `${denied.port}/${denied.protocol}` },
    { header: 'TIMES', text: ({ count }) => String(count), alignRight: true },
    { header: 'SITES', text: ({ sites }) => String(sites), alignRight: true },
    { header: 'AT', text: ({ examples }) => examples.join(', ') },
  ];
}

function siteColumns(paint: Paint): Column<RolloutSite>[] {
  const took = (header: string, key: keyof RolloutSite['effect'], wide = false): Column<RolloutSite> => ({
    header,
    text: (site) => tookText(site, key),
    alignRight: true,
    wide,
  });
  const sign = ({ verdict }: RolloutSite) => VERDICT_SIGNS[verdict ?? 'unjudged'];
  return [
    { header: '  SITE', text: ({ site }) => `  ${site}` },
    {
      header: 'VERDICT',
      text: (site) => signOf(sign(site)),
      paint: (site, padded) => paintSign(sign(site), paint, padded),
    },
    {
      header: 'STANDS',
      text: ({ phase, generation }) =>
        phase === null ? '-' : generation === 0 ? phase : `${phase} (${generation})`,
    },
    { header: 'HITS', text: ({ hits }) => String(hits), alignRight: true },
    { header: 'UNEXPECTED', text: ({ unexpectedDenies }) => String(unexpectedDenies), alignRight: true },
    { header: 'HITS NOW', text: ({ now }) => (now === null ? '-' : String(now.hits)), alignRight: true },
    {
      header: 'UNEXPECTED NOW',
      text: ({ now }) => (now === null ? '-' : String(now.unexpectedDenies)),
      alignRight: true,
    },
    took('DELIVERED', 'deliveredAtMs', true),
    took('APPLIED', 'appliedAtMs'),
    took('LIVE', 'liveAtMs'),
    took('FIRST HIT', 'firstHitAtMs'),
    took('VERIFIED', 'verifiedAtMs'),
    {
      header: 'REASONS',
      text: siteWhy,
    },
  ];
}

/** Since the hub committed it, as "0.4 s" or "12 m". */
function tookText({ effect, hadItBefore }: RolloutSite, key: keyof RolloutSite['effect']): string {
  const atMs = effect[key];
  if (hadItBefore && (key === 'appliedAtMs' || key === 'liveAtMs')) return 'already';
  if (atMs === null || effect.committedAtMs === null) return '-';
  const ms = Math.max(0, atMs - effect.committedAtMs);
  if (ms < 10_000) return `${(ms / 1000).toFixed(1)} s`;
  return ms < 120_000 ? `${Math.round(ms / 1000)} s` : `${Math.round(ms / 60_000)} m`;
}
