import type { Store } from '../../core/ports/store.ts';
import { LINK_DELTAS } from './links.ts';

/*
 * Minutes of virtual sites. A site is a member of a minute when its interval holds the minute's start, so that one that
 * moves is counted once. A member without a row in the minute, or with one that scored nothing, is unknown. Scores are the
 * shown ones, and quantiles go by nearest rank, as in the live rollup (core/rollup.ts).
 */

const NEAREST_RANK = (sorted: string, quantile: number) =>
  `if(empty(${sorted}), NULL, ${sorted}[greatest(1, toUInt64(ceil(${quantile} * length(${sorted}))))])`;

/** Sites by twentieths of a ratio; what is not observed is in none. */
const HISTOGRAM = (values: string) =>
  `arrayMap(bucket -> toUInt32(countEqual(arrayMap(v -> toUInt8(least(19, floor(v * 20))), ${values}), bucket)), range(20))`;

const WORKLOADS = [
  'workloads_total',
  'workloads_down',
  'workloads_in_progress',
  'workloads_crash_looping',
  'workloads_waiting_for_image',
  'workloads_out_of_memory',
  'workloads_unschedulable',
] as const;
const LINKS = ['requests', 'losses', 'errors'] as const;

const FIGURES = `members, green, orange, red, members - green - orange - red AS unknown,
  ${NEAREST_RANK('scores', 0)} AS score_min, ${NEAREST_RANK('scores', 0.1)} AS score_p10,
  ${NEAREST_RANK('scores', 0.5)} AS score_p50, ${NEAREST_RANK('scores', 0.9)} AS score_p90,
  if(empty(scores), NULL, arrayAvg(scores)) AS score_mean,
  ${HISTOGRAM('cpus')} AS cpu_histogram, ${NEAREST_RANK('cpus', 0.5)} AS cpu_p50, ${NEAREST_RANK('cpus', 0.9)} AS cpu_p90,
  ${HISTOGRAM('memories')} AS memory_histogram, ${NEAREST_RANK('memories', 0.5)} AS memory_p50,
  ${NEAREST_RANK('memories', 0.9)} AS memory_p90`;

const COUNT_MINUTES = `
INSERT INTO plumbline.virtual_site_minute_count (virtual_site, minute, members, green, orange, red, unknown,
  score_min, score_p10, score_p50, score_p90, score_mean, cpu_histogram, cpu_p50, cpu_p90,
  memory_histogram, memory_p50, memory_p90, ${LINKS.map((name) => `links_${name}`).join(', ')},
  ${WORKLOADS.join(', ')}, worst, revision)
SELECT virtual_site, minute, ${FIGURES}, ${LINKS.map((name) => `links_${name}`).join(', ')}, ${WORKLOADS.join(', ')},
  arraySlice(arraySort(each -> (each.2, each.1), by_site), 1, 10) AS worst, revision
FROM (
  SELECT m.virtual_site AS virtual_site, m.minute AS minute, count() AS members,
    countIf(s.shown > 75) AS green, countIf(s.shown BETWEEN 40 AND 75) AS orange, countIf(s.shown < 40) AS red,
    arraySort(groupArray(s.shown)) AS scores, arraySort(groupArray(s.cpu)) AS cpus,
    arraySort(groupArray(s.memory)) AS memories,
    ${LINKS.map((name) => `sum(ifNull(l.${name}, 0)) AS links_${name}`).join(', ')},
    ${WORKLOADS.map((name) => `sum(ifNull(s.${name}, 0)) AS ${name}`).join(', ')},
    groupArrayIf((toString(m.site), assumeNotNull(s.shown)), s.shown IS NOT NULL) AS by_site,
    any(r.revision) + 1 AS revision
  FROM (
    SELECT DISTINCT virtual_site, site, arrayJoin(arrayFilter(at -> at >= from_at AND at < to_at,
      arrayMap(at -> toDateTime(at, 'UTC'), {minutes:Array(UInt32)}))) AS minute
    FROM plumbline.membership FINAL
    WHERE site != '' AND ({name:String} = '' OR virtual_site = {name:String})
      AND from_at <= toDateTime({last:UInt32}) AND to_at > toDateTime({first:UInt32})
  ) AS m
  LEFT JOIN (
    SELECT site, minute, shown, cpu, memory, ${WORKLOADS.join(', ')}
    FROM plumbline.site_minute
    WHERE minute >= toDateTime({first:UInt32}) AND minute <= toDateTime({last:UInt32})
  ) AS s ON s.site = m.site AND s.minute = m.minute
  LEFT JOIN (${LINK_DELTAS}
  ) AS l ON l.site = m.site AND l.minute = m.minute
  LEFT JOIN (
    SELECT virtual_site, minute, max(revision) AS revision
    FROM plumbline.virtual_site_minute_count
    WHERE minute >= toDateTime({first:UInt32}) AND minute <= toDateTime({last:UInt32}) GROUP BY virtual_site, minute
  ) AS r ON r.virtual_site = m.virtual_site AND r.minute = m.minute
  GROUP BY virtual_site, minute)`;

/** Members times minutes that one query may join: some seconds and some hundred megabytes at most. */
const JOINED_ROWS = 1_000_000;
const MOST_MINUTES = 60;

/** How many minutes a query may cover at the present number of memberships. */
export async function minutesPerQuery(store: Store, name = ''): Promise<number> {
  const [row] = await store.query<{ memberships: number }>(
    `SELECT count() AS memberships FROM plumbline.membership
     WHERE {name:String} = '' OR virtual_site = {name:String}`,
    { name },
  );
  const fitting = Math.floor(JOINED_ROWS / Math.max(1, row?.memberships ?? 0));
  return Math.min(MOST_MINUTES, Math.max(1, fitting));
}

/** Counts these minutes (their starts, epoch ms, ascending) in one query, of one virtual site or of all. */
export async function countMinutes(store: Store, minutesMs: readonly number[], name = ''): Promise<void> {
  const minutes = minutesMs.map((ms) => ms / 1000);
  const [first] = minutes;
  const last = minutes.at(-1);
  if (first === undefined || last === undefined) return;
  await store.derive(COUNT_MINUTES, { minutes, first, last, name });
}
