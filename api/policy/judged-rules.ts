import type { RuleHits } from '../../core/model/policy-view.ts';
import type { Rollout } from '../../core/model/rollout.ts';
import type { Store } from '../../core/ports/store.ts';
import { NEWEST, newestOf } from './hits.ts';
import { stageKey } from './stage-members.ts';

/** Of the newest decision about a stage, what the counters stood at of sites that do not run its generation any more. */
const RULES = `
  SELECT JSONExtractString(one, 'rule') AS rule, toFloat64(sum(JSONExtractUInt(one, 'hits'))) AS hits,
    toFloat64(sum(JSONExtractUInt(one, 'probeHits'))) AS probeHits,
    toFloat64(uniqExactIf(site, JSONExtractUInt(one, 'hits') > 0)) AS sites
  FROM (
    SELECT site, evidence FROM plumbline.site_evidence
    WHERE rollout = {rollout:String} AND stage_key = {stageKey:String} AND site NOT IN (SELECT site FROM (${NEWEST}))
      AND decided_at = (
        SELECT max(decided_at) FROM plumbline.decision
        WHERE rollout = {rollout:String} AND stage_key = {stageKey:String})
    LIMIT 1 BY site
  ) ARRAY JOIN JSONExtractArrayRaw(evidence, 'newest', 'rules') AS one
  GROUP BY rule`;

/** By rule, what is counted where the generation runs, and what was where a stage of it was rolled back, as it was judged. */
export async function withJudged(
  store: Store,
  rollout: Rollout,
  stage: number,
  counted: readonly RuleHits[],
  nowMs: number,
): Promise<RuleHits[]> {
  const { policy, generation, stages } = rollout.spec;
  const key = stageKey(rollout, stage);
  if (key === null || stages[stage]?.phase !== 'rolled-back') return [...counted];
  const question = {
    rollout: `${policy.kind}/${policy.name}`,
    stageKey: key,
    ...newestOf({ name: policy.name, nowMs, generation }),
  };
  const judged = await store.query<Omit<RuleHits, 'generation'>>(RULES, question);
  const joined = new Map(counted.map((one) => [one.rule, one]));
  for (const { rule, hits, probeHits, sites } of judged) {
    const known = joined.get(rule) ?? { generation, rule, hits: 0, probeHits: 0, sites: 0 };
    joined.set(rule, {
      ...known,
      hits: known.hits + hits,
      probeHits: known.probeHits + probeHits,
      sites: known.sites + sites,
    });
  }
  return [...joined.values()].sort((a, b) => (a.rule < b.rule ? -1 : 1));
}
