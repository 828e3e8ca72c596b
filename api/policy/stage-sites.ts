import { Compile } from 'typebox/compile';
import { PolicyStatus } from '../../core/model/policy-report.ts';
import type { DeniedView, RolloutSite } from '../../core/model/policy-view.ts';
import type { Rollout, StageStatus, Verdict } from '../../core/model/rollout.ts';
import type { SiteState } from '../../core/model/site-state.ts';
import type { SiteEvidence, StageQuestion } from '../../core/policy/evidence.ts';
import type { Store } from '../../core/ports/store.ts';
import { HITS_WINDOW_MS } from './hits.ts';
import type { JudgedSite, StageRecord } from './stage-record.ts';

const SITES_SHOWN = 500;
const DENIED_SHOWN = 100;
const EXAMPLES = 3;
/** What comes from so long before the stage began is no site's clock, but of before. */
const CLOCK_SLACK_MS = 1000;
const ORDER: readonly (Verdict | null)[] = ['fail', 'inconclusive', null, 'pass', 'not-applicable'];
const statuses = Compile(PolicyStatus);

/** What each of some sites says of a policy in its newest report. */
const STATUSES = `
  SELECT site, argMax(detail, (boot, seq)) AS detail FROM plumbline.policy_report
  WHERE site IN {sites:Array(String)} AND policy_kind = 'Allowlist' AND policy = {name:String}
    AND ts > fromUnixTimestamp64Milli({fromMs:Int64})
  GROUP BY site`;

type Denied = PolicyStatus['denied'];

type StageRead = {
  rollout: Rollout;
  stage: number;
  record: StageRecord | null;
  sites: readonly string[];
  stateOf: (site: string) => SiteState | null;
  nowMs: number;
};

/**
 * The sites of a stage, what is amiss first, bounded. `gone` is what was refused, as its verdict rested on it, at those that
 * do not run the generation any more.
 */
export async function readStageSites(
  store: Store,
  { rollout, stage, record, stateOf, ...read }: StageRead,
): Promise<{
  sites: RolloutSite[];
  sitesLeftOut: number;
  gone: { site: string; denied: Denied }[];
}> {
  const { policy, generation, stages } = rollout.spec;
  const judgedOf = (site: string) => record?.sites.get(site) ?? null;
  const all = [...new Set([...read.sites, ...(record?.sites.keys() ?? [])])].sort();
  const rank = (site: string) => ORDER.indexOf(judgedOf(site)?.verdict ?? null);
  const shown = all.toSorted((a, b) => rank(a) - rank(b)).slice(0, SITES_SHOWN);
  const said = await readStatuses(store, policy.name, shown, read.nowMs);
  const gone: { site: string; denied: Denied }[] = [];
  const sites = shown.map((site) => {
    const status = said.get(site) ?? null;
    const judged = judgedOf(site);
    const denied = judged?.evidence?.newest?.denied;
    if (status?.generation !== generation && denied !== undefined) gone.push({ site, denied });
    const now = stateOf(site)?.policies?.find(({ name }) => name === policy.name) ?? status;
    return {
      site,
      verdict: judged?.verdict ?? null,
      reasons: judged?.reasons ?? [],
      phase: now?.phase ?? null,
      detail: status?.reason ?? '',
      generation: now?.generation ?? 0,
      live: now?.live ?? false,
      hits: sum(judged?.hits.values() ?? []),
      unexpectedDenies: judged?.unexpectedDenies ?? 0,
      now: record === null ? null : nowOf(record.question, judged, status),
      ...effectOf(stages[stage], record, judged),
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

type Ran = Pick<PolicyStatus, 'generation' | 'mode'>;

function isOf({ generation, mode }: StageQuestion, ran: Ran | null): boolean {
  return ran?.generation === generation && ran.mode === mode;
}

/** By the newest report, from where the verdict counts too; not known before a report of the stage was judged. */
function nowOf(
  question: StageQuestion,
  judged: JudgedSite | null,
  status: PolicyStatus | null,
): RolloutSite['now'] {
  const evidence = judged?.evidence ?? null;
  if (evidence === null || evidence.appliedSinceMs === null || status === null || !isOf(question, status))
    return null;
  const before = new Map(evidence.hitsBefore.map(({ rule, hits }) => [rule, hits]));
  return {
    hits: sum(status.rules.map(({ rule, hits }) => Math.max(0, hits - (before.get(rule) ?? 0)))),
    unexpectedDenies: Math.max(0, status.unexpectedDenies - evidence.unexpectedBefore),
  };
}

/** Of what the stage brought, when it was there; what comes from before the stage took no time in it. */
function effectOf(
  stage: StageStatus | undefined,
  record: StageRecord | null,
  judged: JudgedSite | null,
): Pick<RolloutSite, 'effect' | 'hadItBefore'> {
  const committedAtMs = stage?.startedAtMs ?? null;
  const newest = record === null ? null : newestOf(record.question, judged?.evidence ?? null);
  const isOwn = (atMs: number | null) =>
    atMs !== null && committedAtMs !== null && atMs >= committedAtMs - CLOCK_SLACK_MS;
  const own = (atMs: number | null = null) => (isOwn(atMs) ? atMs : null);
  const appliedAtMs = newest?.appliedAtMs ?? null;
  return {
    hadItBefore: appliedAtMs !== null && !isOwn(appliedAtMs),
    effect: {
      committedAtMs,
      deliveredAtMs: own(newest?.deliveredAtMs),
      appliedAtMs: own(appliedAtMs),
      liveAtMs: own(newest?.confirmedAtMs),
      firstHitAtMs: own(newest?.firstHitAtMs),
      verifiedAtMs: judged?.passedAtMs ?? null,
    },
  };
}

function newestOf(question: StageQuestion, evidence: SiteEvidence | null): SiteEvidence['newest'] {
  const newest = evidence?.newest ?? null;
  return isOf(question, newest) ? newest : null;
}

function sum(values: Iterable<number>): number {
  let total = 0;
  for (const value of values) total += value;
  return total;
}

/** What is refused now, and what was refused where it is not in force any more, by destination. */
export function joinDenied(
  now: readonly DeniedView[],
  gone: readonly { site: string; denied: Denied }[],
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
