import type { DeniedView, RuleHits } from '../../core/model/policy-view.ts';
import type { Store } from '../../core/ports/store.ts';

/** How old the newest report of a site may be to be counted. */
export const HITS_WINDOW_MS = 15 * 60_000;
const DENIED_SHOWN = 100;
const EXAMPLES = 3;
/** Destinations are read of so many sites, those with the most unexpected denies first. */
const SITES_READ = 50;

/** Of which policy, by reports received up to when, and which generation (0 for all of them). */
type HitsQuestion = { name: string; nowMs: number; generation: number };

/** Each site's newest report of the window that speaks of the policy. What is large of it is read only of some sites. */
const NEWEST = `
  SELECT site, max(tuple(boot, seq)) AS last,
    argMax(tuple(generation, rule, hits, probe_hits, denies + probe_denies, unexpected_denies), (boot, seq)) AS newest
  FROM plumbline.policy_report
  WHERE policy_kind = 'Allowlist' AND policy = {name:String}
    AND ts > fromUnixTimestamp64Milli({fromMs:Int64}) AND ts <= fromUnixTimestamp64Milli({toMs:Int64})
  GROUP BY site
  HAVING {generation:UInt64} = 0 OR newest.1 = {generation:UInt64}`;

const RULES = `
  SELECT toFloat64(newest.1) AS generation, one.1 AS rule, toFloat64(sum(one.2)) AS hits, toFloat64(sum(one.3)) AS probeHits,
    toFloat64(countIf(one.2 > 0)) AS sites
  FROM (${NEWEST}) ARRAY JOIN arrayZip(newest.2, newest.3, newest.4) AS one
  GROUP BY generation, rule ORDER BY generation DESC, rule`;

const DENIED = `
  SELECT generation, JSONExtractString(one, 'workload') AS workload,
    JSONExtractString(one, 'direction') AS direction, JSONExtractString(one, 'address') AS address,
    toFloat64(JSONExtractUInt(one, 'port')) AS port, JSONExtractString(one, 'protocol') AS protocol,
    JSONExtractString(one, 'name') AS name, JSONExtractString(one, 'kind') AS kind,
    toFloat64(sum(JSONExtractUInt(one, 'count'))) AS count, toFloat64(uniqExact(site)) AS sites,
    arraySort(groupUniqArray(${EXAMPLES})(site)) AS examples
  FROM (
    SELECT site, toFloat64(generation) AS generation, detail FROM plumbline.policy_report
    WHERE policy_kind = 'Allowlist' AND policy = {name:String}
      AND ts > fromUnixTimestamp64Milli({fromMs:Int64}) AND ts <= fromUnixTimestamp64Milli({toMs:Int64})
      AND (site, boot, seq) IN (
        SELECT site, last.1, last.2 FROM (${NEWEST}) WHERE newest.5 > 0
        ORDER BY newest.6 DESC, newest.5 DESC LIMIT ${SITES_READ})
    LIMIT 1 BY site
  ) ARRAY JOIN JSONExtractArrayRaw(detail, 'denied') AS one
  GROUP BY generation, workload, direction, address, port, protocol, name, kind
  ORDER BY kind = 'unexpected' DESC, kind = 'removed' DESC, count DESC, workload, address, port LIMIT ${DENIED_SHOWN}`;

type DeniedRow = DeniedView['denied'] & {
  generation: number;
  count: number;
  sites: number;
  examples: string[];
};

/** What NEWEST is asked with. */
function newestOf({ name, nowMs, generation }: HitsQuestion) {
  return { name, generation, fromMs: nowMs - HITS_WINDOW_MS, toMs: nowMs + HITS_WINDOW_MS };
}

/** Totals of every site's newest report, added up by rule and by destination. */
export async function readHits(
  store: Store,
  asked: HitsQuestion,
): Promise<{ rules: RuleHits[]; denied: DeniedView[]; sites: number }> {
  const question = newestOf(asked);
  const [rules, denied, counted] = await Promise.all([
    store.query<RuleHits>(RULES, question),
    readDenied(store, asked),
    store.query<{ sites: number }>(`SELECT toFloat64(count()) AS sites FROM (${NEWEST})`, question),
  ]);
  return { rules, denied, sites: counted[0]?.sites ?? 0 };
}

export async function readDenied(store: Store, asked: HitsQuestion): Promise<DeniedView[]> {
  return (await store.query<DeniedRow>(DENIED, newestOf(asked))).map(deniedView);
}

function deniedView({ generation, count, sites, examples, name = '', ...rest }: DeniedRow): DeniedView {
  return { generation, denied: { ...rest, ...(name !== '' && { name }) }, count, sites, examples };
}
