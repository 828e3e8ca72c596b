import type { DeniedView, RolloutDetail, RolloutSite, RuleHits } from '../../../core/model/policy-view.ts';
import type { RolloutAct } from '../../../core/model/rollout.ts';
import { actText, siteWhy, VERDICT_SIGNS, whoText } from '../../../core/rollout-words.ts';
import { count, milliseconds } from '../format.ts';
import { Moment } from '../moment.tsx';
import { follow, sitePath } from '../route.ts';
import { type DataColumn, DataTable } from '../site/data-table.tsx';
import { Panel } from '../site/panel.tsx';
import { SignMark } from './sign.tsx';

const RULE_COLUMNS: readonly DataColumn<RuleHits>[] = [
  { title: 'Rule', shape: 'name', cell: ({ rule }) => rule },
  {
    title: 'Hits',
    shape: 'number',
    cell: ({ hits }) => (hits === 0 ? <span class="short">0</span> : count(hits)),
  },
  { title: 'Sites', shape: 'number', cell: ({ sites }) => count(sites) },
  {
    title: 'By probes',
    hint: 'Connections of the sites’ own probes, which are no proof',
    shape: 'number',
    cell: ({ probeHits }) => <span class="muted">{count(probeHits)}</span>,
  },
];

/** New connections by rule: the proof that a rule is used. */
export function RuleHitsPanel({ detail: { rules, stage, judgedAtMs } }: { detail: RolloutDetail }) {
  return (
    <Panel title={`New connections by rule, stage ${stage + 1}`}>
      <AsOf ms={judgedAtMs} />
      <DataTable
        label="New connections by rule"
        columns={RULE_COLUMNS}
        rows={rules}
        keyOf={({ rule }) => rule}
        empty="Nothing is judged yet."
      />
    </Panel>
  );
}

/** Of when the stage's verdict is, its counts, its rules and its sites: of one evaluation. */
function AsOf({ ms }: { ms: number | null }) {
  if (ms === null) return null;
  return (
    <p class="note">
      As judged, as of <Moment ms={ms} short />.
    </p>
  );
}

const DENIED_COLUMNS: readonly DataColumn<DeniedView>[] = [
  {
    title: 'Kind',
    hint: 'Unexpected: was let through there before',
    cell: ({ denied: { kind } }) => (kind === 'unexpected' ? <span class="short">unexpected</span> : kind),
  },
  { title: 'Workload', cell: ({ denied }) => denied.workload },
  {
    title: 'Destination',
    shape: 'name',
    cell: ({ denied: { name, address } }) => (name === undefined ? address : `${name} (${address})`),
  },
  { title: 'Port', cell: ({ denied: { port, protocol } }) => `${port}/${protocol}` },
  { title: 'Times', shape: 'number', cell: ({ count: times }) => count(times) },
  {
    title: 'Sites',
    cell: ({ sites, examples }) => (
      <span title={examples.join(', ')}>{sites === 1 ? examples[0] : count(sites)}</span>
    ),
  },
];

/** What is refused and where to; what was let through before stands first. */
export function DeniedPanel({ denied }: { denied: readonly DeniedView[] }) {
  return (
    <Panel title="Refused destinations">
      <p class="note">Now, by the newest reports of all sites.</p>
      <DataTable
        label="Refused destinations"
        columns={DENIED_COLUMNS}
        rows={denied}
        keyOf={({ denied: one }) => JSON.stringify(one)}
        empty="Nothing was refused."
      />
    </Panel>
  );
}

const ACT_COLUMNS: readonly DataColumn<RolloutAct>[] = [
  { title: 'When', cell: ({ atMs }) => <Moment ms={atMs} /> },
  { title: 'Who', shape: 'name', cell: whoText },
  { title: 'Did what', shape: 'words', cell: actText },
];

/** Who wrote it, took it on, approved it or stopped it; newest first. */
export function ActsPanel({ acts }: { acts: readonly RolloutAct[] }) {
  return (
    <Panel title="Who did what" shape="wide">
      <DataTable
        label="Who did what"
        columns={ACT_COLUMNS}
        rows={acts.toReversed()}
        keyOf={({ act, atMs, stage }) => `${atMs} ${act} ${stage}`}
        empty="Nothing is recorded."
      />
    </Panel>
  );
}

const STEPS = [
  ['appliedAtMs', 'Applied'],
  ['liveAtMs', 'Live'],
  ['firstHitAtMs', 'First hit'],
  ['verifiedAtMs', 'Verified'],
] as const;

const SITE_COLUMNS: readonly DataColumn<RolloutSite>[] = [
  {
    title: 'Site',
    shape: 'name',
    cell: ({ site }) => (
      <a href={sitePath(site)} onClick={follow}>
        {site}
      </a>
    ),
  },
  { title: 'Verdict', cell: ({ verdict }) => <SignMark sign={VERDICT_SIGNS[verdict ?? 'unjudged']} /> },
  {
    title: 'Reasons',
    shape: 'words',
    cell: siteWhy,
  },
  { title: 'Stands', cell: standingOf },
  { title: 'Hits', shape: 'number', cell: ({ hits }) => count(hits) },
  {
    title: 'Unexpected',
    hint: 'Refused, though it was let through there before',
    shape: 'number',
    cell: ({ unexpectedDenies }) =>
      unexpectedDenies > 0 ? <span class="short">{count(unexpectedDenies)}</span> : 0,
  },
  {
    title: 'Hits now',
    hint: 'Since the stage began, by its newest report',
    shape: 'number',
    cell: ({ now }) => <span class="muted">{now === null ? '–' : count(now.hits)}</span>,
  },
  {
    title: 'Unexpected now',
    hint: 'Since the stage began, by its newest report',
    shape: 'number',
    cell: ({ now }) => <span class="muted">{now === null ? '–' : count(now.unexpectedDenies)}</span>,
  },
  ...STEPS.map(
    ([key, title]): DataColumn<RolloutSite> => ({
      title,
      hint: `${title}: since the hub committed the change`,
      shape: 'number',
      cell: ({ effect, hadItBefore }) =>
        hadItBefore && (key === 'appliedAtMs' || key === 'liveAtMs')
          ? 'already'
          : effect[key] === null || effect.committedAtMs === null
            ? '–'
            : milliseconds(Math.max(0, effect[key] - effect.committedAtMs)),
    }),
  ),
];

/** Every site of the stage: its verdict with reasons, and how long the change took to have effect there. */
export function SitesPanel({ detail }: { detail: RolloutDetail }) {
  const { sites, sitesLeftOut, stage, rollout, judgedAtMs } = detail;
  return (
    <Panel title={`Sites of stage ${stage + 1}, ${rollout.stages[stage]?.virtualSite ?? ''}`} shape="wide">
      <AsOf ms={judgedAtMs} />
      <DataTable
        label="Sites of the stage"
        columns={SITE_COLUMNS}
        rows={sites}
        keyOf={({ site }) => site}
        empty="No site is in this stage."
      />
      {sitesLeftOut > 0 && <p class="muted">and {count(sitesLeftOut)} more</p>}
    </Panel>
  );
}

function standingOf({ phase, generation, live }: RolloutSite) {
  if (phase === null) return 'has not said';
  return (
    <>
      {generation === 0 ? phase : `${phase}, generation ${generation}`}
      {phase === 'applied' && !live && <span class="short"> not live</span>}
    </>
  );
}
