/*
 * What an evaluation asks the store for: for each site, of the rows that the hub had received by the decision, what
 * SiteEvidence (core/policy/evidence.ts) is made of. Reports are taken in the order of their boots and numbers, each once.
 *
 * `ts` only finds the rows quickly: what claims a time more than an hour off is no evidence, and a hole.
 */
export const SCORE_WINDOW_MS = 600_000;
const SLACK_MS = 3_600_000;

const RECEIVED = 'toUnixTimestamp64Milli(received_at)';
const ms = (name: string) => `fromUnixTimestamp64Milli({${name}:Int64}, 'UTC')`;
const WITHIN = `ts >= ${ms('started')} - INTERVAL ${(SCORE_WINDOW_MS + SLACK_MS) / 1000} SECOND
      AND ts <= ${ms('decided')} + INTERVAL ${SLACK_MS / 1000} SECOND
      AND received_at > ${ms('started')} - INTERVAL ${SCORE_WINDOW_MS / 1000} SECOND AND received_at <= ${ms('decided')}`;

/** Elements of a row's tuple, by position: a name for each. Boot and number come first, so that tuples sort by them. */
const ROW = [
  ['boot', 'boot'],
  ['seq', 'seq'],
  ['ranged', `received_at > ${ms('started')}`],
  ['seen', '(seen_epoch, seen_n) >= ({epoch:UInt32}, {n:UInt64})'],
  ['same', 'generation = {generation:UInt64} AND digest = {digest:String}'],
  [
    'applied',
    `received_at > ${ms('started')} AND (seen_epoch, seen_n) >= ({epoch:UInt32}, {n:UInt64})
      AND generation = {generation:UInt64} AND digest = {digest:String} AND mode = {mode:String}
      AND enforcement = 'on' AND phase = 'applied' AND live = 1 AND workloads > 0`,
  ],
  ['received', RECEIVED],
  ['epoch', 'counter_epoch'],
  ['rules', 'cityHash64(rule)'],
  ['hits', 'hits'],
  ['denies', 'denies'],
  ['unexpected', 'unexpected_denies'],
  ['full', 'full_sets'],
  ['lost', 'lost'],
  ['offset', 'abs(clock_offset_ms)'],
  ['score', 'score'],
] as const;
type Field = (typeof ROW)[number][0];

const of = (row: string, field: Field) => `${row}.${ROW.findIndex(([name]) => name === field) + 1}`;
const tuple = `tuple(${ROW.map(([, value]) => value).join(', ')})`;

/** A counter went down from one report to the next of the same counting. Rules that are others are compared by their sum. */
const DECREASED = `a, b -> ${of('a', 'same')} AND ${of('b', 'same')} AND ${of('a', 'epoch')} = ${of('b', 'epoch')} AND (
    ${of('b', 'denies')} < ${of('a', 'denies')} OR ${of('b', 'unexpected')} < ${of('a', 'unexpected')} OR
    if(${of('a', 'rules')} = ${of('b', 'rules')},
      arrayExists((x, y) -> y < x, ${of('a', 'hits')}, ${of('b', 'hits')}),
      arraySum(${of('b', 'hits')}) < arraySum(${of('a', 'hits')})))`;

/** Lists of rows: all; those after the stage began, from the first that has seen its target; from the first that has it applied. */
export const POLICY_SQL = `
SELECT site, newest.1 AS detail, newest.2 AS enforcement, newest.3 AS received_ms, newest.4 AS made_ms,
  newest.5 AS interval_ms,
  length(told) AS reports,
  arrayMap(one -> (one, arrayMin(row -> ${of('row', 'seq')}, arrayFilter(row -> ${of('row', 'boot')} = one, told)),
    arrayMax(row -> ${of('row', 'seq')}, arrayFilter(row -> ${of('row', 'boot')} = one, told)),
    arrayCount(row -> ${of('row', 'boot')} = one, told)), arrayDistinct(arrayMap(row -> ${of('row', 'boot')}, told))) AS spans,
  arrayMax(arrayMap(row -> ifNull(${of('row', 'offset')}, -1), told)) AS clock_offset,
  notEmpty(held) AS is_applied, ${of('first', 'boot')} AS first_boot, ${of('first', 'seq')} AS first_seq,
  ${of('first', 'received')} AS first_received_ms, first_rules AS first_rule, ${of('first', 'hits')} AS first_hits,
  notEmpty(earlier) AS has_previous, ${of('previous', 'same')} AS previous_same,
  if(${of('previous', 'epoch')} = ${of('first', 'epoch')}, least(${of('previous', 'unexpected')}, ${of('first', 'unexpected')}), 0)
    AS previous_unexpected,
  arrayCount(row -> NOT ${of('row', 'applied')}, held) AS not_live,
  arrayMax(arrayMap(row -> ${of('row', 'full')}, held)) AS full_sets,
  length(arrayDistinct(arrayMap(row -> ${of('row', 'epoch')}, arrayFilter(row -> ${of('row', 'same')}, held)))) AS counter_epochs,
  arrayCount(${DECREASED}, arrayPopBack(held), arrayPopFront(held)) AS decreases,
  arraySum(arrayMap(row -> ${of('row', 'lost')}, held)) AS lost,
  arrayMax(arrayMap(row -> ${of('row', 'unexpected')}, arrayFilter(row -> ${of('row', 'applied')}, held))) AS unexpected,
  arraySort(arrayMap(row -> assumeNotNull(${of('row', 'score')}), arrayFilter(row -> isNotNull(${of('row', 'score')}) AND
    ${of('row', 'received')} > {decided:Int64} - ${SCORE_WINDOW_MS}, held))) AS scores
FROM (
  SELECT site, arraySort(groupArray(${tuple})) AS rows,
    argMaxIf((detail, enforcement, ${RECEIVED}, toUnixTimestamp64Milli(ts), interval_ms), (boot, seq),
      received_at > ${ms('started')}) AS newest,
    countIf(received_at > ${ms('started')}) AS ranged,
    argMinIf(rule, (boot, seq), ${ROW[5][1]}) AS first_rules,
    arrayFilter(row -> ${of('row', 'ranged')}, rows) AS after,
    if(arrayExists(row -> ${of('row', 'seen')}, after),
      arraySlice(after, arrayFirstIndex(row -> ${of('row', 'seen')}, after)), []) AS told,
    if(arrayExists(row -> ${of('row', 'applied')}, told),
      arraySlice(told, arrayFirstIndex(row -> ${of('row', 'applied')}, told)), []) AS held,
    held[1] AS first,
    arrayFilter(row -> (${of('row', 'boot')}, ${of('row', 'seq')}) < (${of('first', 'boot')}, ${of('first', 'seq')}), rows)
      AS earlier,
    earlier[-1] AS previous
  FROM (
    SELECT toString(site) AS site, toString(boot) AS boot, seq, ts, received_at, seen_epoch, seen_n, generation, digest, mode, phase, live,
      workloads, enforcement, counter_epoch, rule, hits, denies, unexpected_denies, full_sets, lost, clock_offset_ms, score,
      detail, interval_ms
    FROM plumbline.policy_report FINAL
    WHERE policy = {name:String} AND policy_kind = {kind:String} AND ${WITHIN}
      AND site IN (SELECT arrayJoin({sites:Array(String)}))
  )
  GROUP BY site
)
WHERE ranged > 0`;

/**
 * Of all reports, whatever they say: how many of a span of numbers are stored, scores before the stage, and whether the site
 * was heard before its first report that has the stage applied.
 */
export const REPORT_SQL = `
SELECT site, uniqExactIf((boot, seq), boot = from_boot AND seq BETWEEN from_seq AND to_seq) AS stored,
  arraySort(arrayMap(one -> one.3, groupUniqArrayIf((boot, seq, assumeNotNull(score)),
    isNotNull(score) AND received_at <= ${ms('started')}))) AS scores,
  countIf((boot, seq) < (first_boot, first_seq)) > 0 AS is_heard_before, from_boot
FROM (
  SELECT site, boot, seq, received_at, score FROM plumbline.report
  WHERE ${WITHIN} AND site IN (SELECT arrayJoin({sites:Array(String)}))
) AS r
INNER JOIN (
  SELECT span.1 AS site, span.2 AS from_boot, span.3 AS from_seq, span.4 AS to_seq, span.5 AS first_boot, span.6 AS first_seq
  FROM (SELECT arrayJoin(arrayZip({spanSites:Array(String)}, {boots:Array(String)}, {froms:Array(UInt64)},
    {tos:Array(UInt64)}, {firstBoots:Array(String)}, {firstSeqs:Array(UInt64)})) AS span)
) AS s ON r.site = s.site
GROUP BY site, from_boot`;

export const QUARANTINE_SQL = `
SELECT toString(site) AS site, uniqExact((received_at, record_hash)) AS refused FROM plumbline.quarantine
WHERE received_at > ${ms('started')} AND received_at <= ${ms('decided')} AND site IN (SELECT arrayJoin({sites:Array(String)}))
GROUP BY site`;

export const DECISION_SQL = `
SELECT stage_key, toUnixTimestamp64Milli(decided_at) AS decided_ms, toString(verdict) AS verdict, reason_text, verifier_version,
  question
FROM plumbline.decision FINAL
WHERE rollout = {rollout:String} AND ({stage:String} = '' OR stage_key = {stage:String})
  AND ({at:Int64} = 0 OR decided_at = ${ms('at')})
ORDER BY decided_at DESC LIMIT 1`;

export const RECORDED_SQL = `
SELECT toString(site) AS site, toString(verdict) AS verdict, reason_code, reason_text FROM plumbline.site_evidence FINAL
WHERE rollout = {rollout:String} AND stage_key = {stage:String} AND decided_at = ${ms('at')} ORDER BY site`;
