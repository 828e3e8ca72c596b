import { Compile } from 'typebox/compile';
import { PolicyStatus } from '../../core/model/policy-report.ts';
import type { RolloutSite } from '../../core/model/policy-view.ts';
import type { Rollout, StageStatus, Verdict } from '../../core/model/rollout.ts';
import type { SiteState } from '../../core/model/site-state.ts';
import type { Store } from '../../core/ports/store.ts';
import { matches } from '../../core/selector.ts';
import type { Directory } from '../directory.ts';
import { HITS_WINDOW_MS } from './hits.ts';

const SITES_SHOWN = 500;
const ORDER: readonly (Verdict | null)[] = ['fail', 'inconclusive', null, 'pass', 'not-applicable'];
const statuses = Compile(PolicyStatus);

/** Under which the evidence and decisions of a stage are stored; null before it began. */
export function stageKey({ spec }: Rollout, stage: number): string | null {
  const startedAtMs = spec.stages[stage]?.startedAtMs ?? null;
  return startedAtMs === null ? null : `${spec.generation}/${stage}/${startedAtMs}`;
}

/** The sites that a stage is about: those its virtual site selects by given labels, less those of an earlier stage. */
export function stageSites({ spec }: Rollout, stage: number, { sites, virtualSites }: Directory): string[] {
  const names = spec.strategy.stages.map(({ virtualSite }) => virtualSite);
  const wanted = names[stage];
  const earlier = names.slice(0, stage).filter((name) => name !== wanted);
  const isIn = (name: string, labels: Record<string, string>) => {
    const known = virtualSites.get(name);
    return known !== undefined && matches(known.selector, labels);
  };
  return [...sites.values()].flatMap(({ metadata, spec: { labels } }) =>
    wanted !== undefined && isIn(wanted, labels) && !earlier.some((name) => isIn(name, labels))
      ? [metadata.name]
      : [],
  );
}

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

type VerdictRow = { site: string; verdict: Verdict; codes: string[]; texts: string[]; passedAtMs: number };

/** The sites of a stage, what is amiss first, bounded. */
export async function readStageSites(
  store: Store,
  {
    rollout,
    stage,
    sites,
    stateOf,
    nowMs,
  }: {
    rollout: Rollout;
    stage: number;
    sites: readonly string[];
    stateOf: (site: string) => SiteState | null;
    nowMs: number;
  },
): Promise<{ sites: RolloutSite[]; sitesLeftOut: number }> {
  const { kind, name } = rollout.spec.policy;
  const key = stageKey(rollout, stage);
  const rows =
    key === null
      ? []
      : await store.query<VerdictRow>(VERDICTS, { rollout: `${kind}/${name}`, stageKey: key });
  const verdicts = new Map(rows.map((row) => [row.site, row]));
  const all = [...new Set([...sites, ...verdicts.keys()])].sort();
  const rank = (site: string) => ORDER.indexOf(verdicts.get(site)?.verdict ?? null);
  const shown = all.toSorted((a, b) => rank(a) - rank(b)).slice(0, SITES_SHOWN);
  const details =
    shown.length === 0
      ? []
      : await store.query<{ site: string; detail: string }>(STATUSES, {
          sites: shown,
          name,
          fromMs: nowMs - HITS_WINDOW_MS,
        });
  const said = new Map(details.map(({ site, detail }) => [site, parseStatus(detail)]));
  const status = rollout.spec.stages[stage];
  return {
    sites: shown.map((site) =>
      siteOf(site, verdicts.get(site), said.get(site) ?? null, stateOf(site), name, status),
    ),
    sitesLeftOut: all.length - shown.length,
  };
}

/** Where a site stands comes from its newest state; the rest, of what the store has of it. */
function siteOf(
  site: string,
  row: VerdictRow | undefined,
  said: PolicyStatus | null,
  state: SiteState | null,
  name: string,
  stage: StageStatus | undefined,
): RolloutSite {
  const now = state?.policies?.find((policy) => policy.name === name) ?? said;
  return {
    site,
    verdict: row?.verdict ?? null,
    reasons: (row?.codes ?? []).map((code, i) => ({ code, text: row?.texts[i] ?? '' })),
    phase: now?.phase ?? null,
    detail: said?.reason ?? '',
    generation: now?.generation ?? 0,
    live: now?.live ?? false,
    hits: (said?.rules ?? []).reduce((sum, { hits }) => sum + hits, 0),
    denies: said?.denies ?? 0,
    unexpectedDenies: now?.unexpectedDenies ?? 0,
    effect: {
      committedAtMs: stage?.startedAtMs ?? null,
      deliveredAtMs: said?.deliveredAtMs ?? null,
      appliedAtMs: said?.appliedAtMs ?? null,
      liveAtMs: said?.confirmedAtMs ?? null,
      firstHitAtMs: said?.firstHitAtMs ?? null,
      verifiedAtMs: row !== undefined && row.passedAtMs > 0 ? row.passedAtMs : null,
    },
  };
}

function parseStatus(detail: string): PolicyStatus | null {
  const value: unknown = JSON.parse(detail);
  return statuses.Check(value) ? value : null;
}
