import { VERDICTS, type Verdict } from '../../core/model/rollout.ts';
import type { IntentKind, Version } from '../../core/model/signed.ts';
import type { Store } from '../../core/ports/store.ts';

/** What is known for good of a site: nobody asks about it again. */
export type Settled = { verdict: Exclude<Verdict, 'inconclusive'>; decidedAtMs: number; reasons: string[] };

const MS = (name: string) => `fromUnixTimestamp64Milli({${name}:Int64}, 'UTC')`;

/** Of each site the first fail, or else the newest of the other verdicts that settle something. */
const SETTLED_SQL = `
SELECT toString(e.site) AS name, countIf(e.verdict = 'fail') > 0 AS has_failed,
  if(has_failed, 'fail', argMax(toString(e.verdict), e.decided_at)) AS settled,
  toUnixTimestamp64Milli(if(has_failed, minIf(e.decided_at, e.verdict = 'fail'), max(e.decided_at))) AS settled_ms,
  argMinIf(e.reason_text, e.decided_at, e.verdict = 'fail') AS texts
FROM plumbline.site_evidence AS e
WHERE e.rollout = {rollout:String} AND e.stage_key = {stage:String} AND e.decided_at >= ${MS('from')}
  AND e.verdict != 'inconclusive'
GROUP BY e.site`;

/** `ts` only finds the rows quickly, as in an evaluation. */
const FIRST_SEEN_SQL = `
SELECT toString(site) AS name, toUnixTimestamp64Milli(min(received_at)) AS first_ms
FROM plumbline.policy_report
WHERE policy = {name:String} AND policy_kind = {kind:String} AND ts >= ${MS('from')} - INTERVAL 1 HOUR
  AND received_at > ${MS('from')} AND (seen_epoch, seen_n) >= ({epoch:UInt32}, {n:UInt64})
  AND site IN (SELECT arrayJoin({sites:Array(String)}))
GROUP BY site`;

/** The verdicts recorded about the sites of a stage, of decisions from a time on. */
export async function settledSites(
  store: Store,
  rollout: string,
  stage: string,
  fromMs: number,
): Promise<Map<string, Settled>> {
  type Row = { name: string; settled: string; settled_ms: number; texts: string[] };
  const rows = await store.query<Row>(SETTLED_SQL, { rollout, stage, from: fromMs });
  const found = new Map<string, Settled>();
  for (const { name, settled, settled_ms, texts } of rows) {
    const verdict = VERDICTS.find((one) => one === settled);
    if (verdict === undefined || verdict === 'inconclusive') continue;
    found.set(name, { verdict, decidedAtMs: Number(settled_ms), reasons: texts });
  }
  return found;
}

export type Sighting = { kind: IntentKind; name: string; version: Version; fromMs: number; sites: string[] };

/** When the first report of each site came that had seen a version of a policy's target; those without one are left out. */
export async function firstSeen(store: Store, sighting: Sighting): Promise<Map<string, number>> {
  const { kind, name, version, fromMs, sites } = sighting;
  const rows = await store.query<{ name: string; first_ms: number }>(FIRST_SEEN_SQL, {
    kind,
    name,
    sites,
    from: fromMs,
    epoch: version.epoch,
    n: version.n,
  });
  return new Map(rows.map((row) => [row.name, Number(row.first_ms)]));
}
