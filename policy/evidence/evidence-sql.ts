/*
 * What an evaluation asks the store for: for each site, of the rows that the hub had received by the decision, what
 * SiteEvidence (core/policy/evidence.ts) is made of. Reports are taken in the order of their boots and numbers, each once.
 *
 * `ts` only finds the rows quickly: what claims a time more than an hour off is no evidence, and a hole.
 */
const SCORE_WINDOW_MS = 600_000;
/** So many of the newest scores are what the score is now. */
export const NEWEST_SCORES = 6;
const SLACK_MS = 3_600_000;

/** From when on the hub has to have its reports, to find again what it found about a stage that began at `startedAtMs`. */
export function reportsNeededFromMs(startedAtMs: number): number {
  return startedAtMs - SCORE_WINDOW_MS - SLACK_MS;
}

const RECEIVED = 'toUnixTimestamp64Milli(received_at)';
const ms = (name: string) => `fromUnixTimestamp64Milli({${name}:Int64}, 'UTC')`;
const WITHIN = `ts >= ${ms('started')} - INTERVAL ${(SCORE_WINDOW_MS + SLACK_MS) / 1000} SECOND
      AND ts <= ${ms('decided')} + INTERVAL ${SLACK_MS / 1000} SECOND
      AND received_at > ${ms('started')} - INTERVAL ${SCORE_WINDOW_MS / 1000} SECOND AND received_at <= ${ms('decided')}`;

const OF_POLICY = `policy = {name:String} AND policy_kind = {kind:String} AND ${WITHIN}
      AND site IN (SELECT arrayJoin({sites:Array(String)}))`;

/** A counter went down from one report to the next of the same counting. Rules that are others are compared by their sum. */
const FELL = `before.1 = 1 AND same AND before.2 = counter_epoch AND (denies < before.3 OR unexpected_denies < before.4 OR
    if(before.5 = rules, arrayExists((was, is) -> is < was, before.6, hits), arraySum(hits) < arraySum(before.6)))`;

/**
 * A row a site and boot. `told`: rows of the stage from the first that has seen its target on; `held`: those from the first
 * that has it applied on. The row before the first that speaks of the generation in this stage says whether its counters
 * went on from something.
 */
export const POLICY_SQL = `
SELECT site, boot, count() AS reports, min(seq) AS from_seq, max(seq) AS to_seq,
  max(ifNull(abs(clock_offset_ms), -1)) AS clock_offset,
  countIf(held) AS held_reports,
  argMinIf((received_ms, arrayMap(one -> toString(one), rule), hits, toUInt8(fell)), seq, applied) AS first,
  countIf(same) AS began_reports,
  argMinIf((seq, before.7, before.1, if(before.1 = 1 AND before.8 = 1 AND before.2 = counter_epoch AND
    before.4 <= unexpected_denies, before.4, 0)), seq, same) AS began,
  countIf(held AND NOT applied) AS not_live, maxIf(full_sets, held) AS full_sets,
  groupUniqArrayIf(counter_epoch, held AND same) AS counter_epochs,
  countIf(held AND fell) AS decreases, sumIf(lost, held) AS lost,
  maxIf(unexpected_denies, applied) AS unexpected,
  arrayMap(one -> one.2, arraySlice(arraySort(groupArrayIf((seq, assumeNotNull(score)), held AND isNotNull(score))),
    -${NEWEST_SCORES})) AS scores
FROM (
  SELECT *, ${FELL} AS fell, told_by AND ranged AS told, held_by AND ranged AS held
  FROM (
    SELECT *, max(ranged AND seen) OVER so_far AS told_by, max(applied) OVER so_far AS held_by,
      lagInFrame(tuple(toUInt8(same), counter_epoch, denies, unexpected_denies, rules, hits, toUInt8(1), toUInt8(same_mode)))
        OVER one AS before
    FROM (
      SELECT toString(site) AS site, toString(boot) AS boot, seq, ${RECEIVED} AS received_ms, counter_epoch, rule, hits, denies,
        unexpected_denies, full_sets, lost, clock_offset_ms, score,
        received_at > ${ms('started')} AS ranged, (seen_epoch, seen_n) >= ({epoch:UInt32}, {n:UInt64}) AS seen,
        generation = {generation:UInt64} AND digest = {digest:String} AS same, cityHash64(rule) AS rules,
        mode = {mode:String} AS same_mode,
        ranged AND seen AND same AND same_mode AND enforcement = 'on' AND phase = 'applied' AND live = 1
          AND workloads > 0 AS applied
      FROM plumbline.policy_report FINAL WHERE ${OF_POLICY}
    )
    WINDOW so_far AS (PARTITION BY site ORDER BY boot, seq ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW),
      one AS (PARTITION BY site ORDER BY boot, seq ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)
  )
)
WHERE told
GROUP BY site, boot ORDER BY site, boot`;

const NEWEST_OF = `${OF_POLICY} AND received_at > ${ms('started')}`;

/** The newest report of each site; apart, because what it says is long, and read of no other. */
export const NEWEST_SQL = `
SELECT toString(site) AS site,
  argMin((detail, toString(enforcement), ${RECEIVED}, toUnixTimestamp64Milli(ts), interval_ms), ${RECEIVED}) AS newest
FROM plumbline.policy_report
PREWHERE (site, boot, seq) IN (
  SELECT site, last.1, last.2
  FROM (SELECT site, max((boot, seq)) AS last FROM plumbline.policy_report WHERE ${NEWEST_OF} GROUP BY site)
)
WHERE ${NEWEST_OF}
GROUP BY site`;

/**
 * Of all reports, whatever they say: how many of a span of numbers are stored, scores before the stage and now, and whether the site
 * was heard before its first report that speaks of the stage's generation.
 */
export const REPORT_SQL = `
SELECT r.site AS site, uniqExactIf(seq, boot = from_boot AND seq BETWEEN from_seq AND to_seq) AS stored,
  arraySort(arrayMap(one -> one.3, groupUniqArrayIf((boot, seq, assumeNotNull(score)),
    isNotNull(score) AND received_at <= ${ms('started')}))) AS scores,
  arrayMap(one -> one.3, arraySlice(arraySort(groupUniqArrayIf((boot, seq, assumeNotNull(score)),
    isNotNull(score) AND received_at > ${ms('started')})), -${NEWEST_SCORES})) AS scores_now,
  countIf((boot, seq) < (began_boot, began_seq)) > 0 AS is_heard_before, from_boot
FROM (
  SELECT site, boot, seq, received_at, score FROM plumbline.report
  WHERE ${WITHIN} AND site IN (SELECT arrayJoin({sites:Array(String)}))
) AS r
LEFT JOIN (
  SELECT span.1 AS site, span.2 AS from_boot, span.3 AS from_seq, span.4 AS to_seq, span.5 AS began_boot, span.6 AS began_seq
  FROM (SELECT arrayJoin(arrayZip({spanSites:Array(String)}, {boots:Array(String)}, {froms:Array(UInt64)},
    {tos:Array(UInt64)}, {beganBoots:Array(String)}, {beganSeqs:Array(UInt64)})) AS span)
) AS s ON r.site = s.site
GROUP BY site, from_boot`;

export const QUARANTINE_SQL = `
SELECT toString(site) AS site, uniqExact((received_at, record_hash)) AS refused FROM plumbline.quarantine
WHERE received_at > ${ms('started')} AND received_at <= ${ms('decided')} AND site IN (SELECT arrayJoin({sites:Array(String)}))
GROUP BY site`;

export const DECISION_SQL = `
SELECT stage_key, toUnixTimestamp64Milli(decided_at) AS decided_ms, toString(verdict) AS verdict, reason_text, verifier_version,
  question, toUnixTimestamp64Milli(now64(3)) AS now_ms
FROM plumbline.decision FINAL
WHERE rollout = {rollout:String} AND ({stage:String} = '' OR stage_key = {stage:String})
  AND ({at:Int64} = 0 OR decided_at = ${ms('at')})
ORDER BY decided_at DESC LIMIT 1`;

export const RECORDED_SQL = `
SELECT toString(site) AS site, toString(verdict) AS verdict, reason_code, reason_text FROM plumbline.site_evidence FINAL
WHERE rollout = {rollout:String} AND stage_key = {stage:String} AND decided_at = ${ms('at')} ORDER BY site`;
