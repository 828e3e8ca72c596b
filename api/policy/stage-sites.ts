import { Compile } from 'typebox/compile';
import { PolicyStatus } from '../../core/model/policy-report.ts';
import type { DeniedView, RolloutSite } from '../../core/model/policy-view.ts';
import type { Rollout, StageStatus, Verdict } from '../../core/model/rollout.ts';
import type { SiteState } from '../../core/model/site-state.ts';
import { SiteEvidence } from '../../core/policy/evidence.ts';
import type { Store } from '../../core/ports/store.ts';
import { HITS_WINDOW_MS } from './hits.ts';
import { stageKey } from './stage-members.ts';

const SITES_SHOWN = 500;
const DENIED_SHOWN = 100;
const EXAMPLES = 3;
const ORDER: readonly (Verdict | null)[] = ['fail', 'inconclusive', null, 'pass', 'not-applicable'];
const statuses = Compile(PolicyStatus);
const evidences = Compile(SiteEvidence);

/** The newest verdict on each site of a stage. */
const VERDICTS = `
  SELECT site, argMax(e.verdict, decided_at) AS verdict, argMax(reason_code, decided_at) AS codes,
    argMax(reason_text, decided_at) AS texts, toUnixTimestamp64Milli(max(decided_at)) AS decidedAtMs,
    toUnixTimestamp64Milli(minIf(decided_at, e.verdict = 'pass')) AS passedAtMs
  FROM plumbline.site_evidence AS e
  WHERE rollout = {rollout:String} AND stage_key = {stageKey:String}
  GROUP BY site`;

/** What each of some sites says of a policy in its newest report. */
const STATUSES = `
  SELECT site, argMax(detail, (boot, seq)) AS detail FROM plumbline.policy_report
  WHERE site IN {sites:Array(String)} AND policy_kind = 'Allowlist' AND policy = {name:String}
    AND ts > fromUnixTimestamp64Milli({fromMs:Int64})
  GROUP BY site`;

/** What the newest verdict on each of some sites rested on. */
const EVIDENCE = `
  SELECT site, argMax(evidence, decided_at) AS recorded FROM plumbline.site_evidence
  WHERE rollout = {rollout:String} AND stage_key = {stageKey:String} AND site IN {sites:Array(String)}
  GROUP BY site`;

type VerdictRow = { site: string; verdict: Verdict; codes: string[]; texts: string[]; passedAtMs: number };

/** What a site says (or said, while it ran it) of a stage's generation. */
type Standing = Pick<
  PolicyStatus,
  | 'rules'
  | 'denies'
  | 'unexpectedDenies'
  | 'denied'
  | 'deliveredAtMs'
  | 'appliedAtMs'
  | 'confirmedAtMs'
  | 'firstHitAtMs'
>;

type StageRead = {
  rollout: Rollout;
  stage: number;
  sites: readonly string[];
  stateOf: (site: string) => SiteState | null;
  nowMs: number;
};

/**
 * The sites of a stage, what is amiss first, bounded. Of a site that does not run the generation any more, it is what its
 * verdict rested on, and `gone` is what was refused there.
 */
export async function readStageSites(
  store: Store,
  read: StageRead,
): Promise<{
  sites: RolloutSite[];
  sitesLeftOut: number;
  gone: { site: string; denied: Standing['denied'] }[];
}> {
  const { rollout, stage, stateOf } = read;
  const { policy, generation } = rollout.spec;
  const question = { rollout: `${policy.kind}/${policy.name}`, stageKey: stageKey(rollout, stage) ?? '' };
  const rows = await store.query<VerdictRow>(VERDICTS, question);
  const verdicts = new Map(rows.map((row) => [row.site, row]));
  const all = [...new Set([...read.sites, ...verdicts.keys()])].sort();
  const rank = (site: string) => ORDER.indexOf(verdicts.get(site)?.verdict ?? null);
  const shown = all.toSorted((a, b) => rank(a) - rank(b)).slice(0, SITES_SHOWN);
  const said = await readStatuses(store, policy.name, shown, read.nowMs);
  const left = shown.filter((site) => said.get(site)?.generation !== generation);
  const recorded = await readRecorded(store, question, left);
  const gone: { site: string; denied: Standing['denied'] }[] = [];
  const sites = shown.map((site) => {
    const status = said.get(site) ?? null;
    const before = recorded.get(site) ?? null;
    if (before !== null) gone.push({ site, denied: before.denied });
    const now = stateOf(site)?.policies?.find(({ name }) => name === policy.name) ?? status;
    return {
      ...verdictOf(site, verdicts.get(site)),
      phase: now?.phase ?? null,
      detail: status?.reason ?? '',
      generation: now?.generation ?? 0,
      live: now?.live ?? false,
      ...figuresOf(before ?? status),
      effect: effectOf(rollout.spec.stages[stage], before ?? status, verdicts.get(site)),
    };
  });
  return { sites, sitesLeftOut: all.length - shown.length, gone };
}

async function readStatuses(store: Store, name: string, sites: readonly string[], nowMs: number) {
  const question = { sites, name, fromMs: nowMs - HITS_WINDOW_MS };
  const rows =
    sites.length === 0 ? [] : await store.query<{ site: string; detail: string }>(STATUSES, question);
  return new Map(
    rows.map(({ site, detail }) => {
      const value: unknown = JSON.parse(detail);
      return [site, statuses.Check(value) ? value : null];
    }),
  );
}

async function readRecorded(
  store: Store,
  question: { rollout: string; stageKey: string },
  sites: readonly string[],
): Promise<Map<string, Standing>> {
  const rows =
    sites.length === 0
      ? []
      : await store.query<{ site: string; recorded: string }>(EVIDENCE, { ...question, sites });
  const found = new Map<string, Standing>();
  for (const { site, recorded } of rows) {
    const value: unknown = JSON.parse(recorded);
    if (evidences.Check(value) && value.newest !== null) found.set(site, value.newest);
  }
  return found;
}

function verdictOf(
  site: string,
  row: VerdictRow | undefined,
): Pick<RolloutSite, 'site' | 'verdict' | 'reasons'> {
  const { verdict = null, codes = [], texts = [] } = row ?? {};
  return { site, verdict, reasons: codes.map((code, i) => ({ code, text: texts[i] ?? '' })) };
}

function figuresOf(standing: Standing | null): Pick<RolloutSite, 'hits' | 'denies' | 'unexpectedDenies'> {
  return {
    hits: (standing?.rules ?? []).reduce((sum, { hits }) => sum + hits, 0),
    denies: standing?.denies ?? 0,
    unexpectedDenies: standing?.unexpectedDenies ?? 0,
  };
}

function effectOf(
  stage: StageStatus | undefined,
  standing: Standing | null,
  row: VerdictRow | undefined,
): RolloutSite['effect'] {
  return {
    committedAtMs: stage?.startedAtMs ?? null,
    deliveredAtMs: standing?.deliveredAtMs ?? null,
    appliedAtMs: standing?.appliedAtMs ?? null,
    liveAtMs: standing?.confirmedAtMs ?? null,
    firstHitAtMs: standing?.firstHitAtMs ?? null,
    verifiedAtMs: row !== undefined && row.passedAtMs > 0 ? row.passedAtMs : null,
  };
}

/** What is refused now, and what was refused where it is not in force any more, by destination. */
export function joinDenied(
  now: readonly DeniedView[],
  gone: readonly { site: string; denied: Standing['denied'] }[],
  generation: number,
): DeniedView[] {
  const joined = new Map(now.map((one) => [JSON.stringify([one.generation, sorted(one.denied)]), one]));
  for (const { site, denied } of gone)
    for (const { count, ...one } of denied) {
      const key = JSON.stringify([generation, sorted(one)]);
      const known = joined.get(key) ?? { generation, denied: one, count: 0, sites: 0, examples: [] };
      joined.set(key, {
        ...known,
        count: known.count + count,
        sites: known.sites + 1,
        examples: [...known.examples, site].slice(0, EXAMPLES),
      });
    }
  const weight = ({ denied }: DeniedView) => KINDS.indexOf(denied.kind);
  return [...joined.values()]
    .sort((a, b) => weight(a) - weight(b) || b.count - a.count)
    .slice(0, DENIED_SHOWN);
}

const KINDS = ['unexpected', 'removed', 'new', 'probe'];

function sorted(denied: DeniedView['denied']): unknown {
  return Object.entries(denied).sort(([a], [b]) => (a < b ? -1 : 1));
}
