import type { Store } from '../../core/ports/store.ts';
import { LINK_DELTAS } from './links.ts';

/*
 * Hours, from the minutes of closed hours. Of a site: scores as they are compared (not capped for display). Of a virtual
 * site: what its minutes counted, so shown scores, and member minutes by state.
 */

const COUNT_SITE_HOURS = `
INSERT INTO plumbline.site_hour_count (site, hour, minutes, reports, score_min, score_mean, cpu_mean, cpu_max,
  memory_mean, memory_max, disk_max, links_requests, links_losses, links_errors, revision)
SELECT s.site, s.hour, s.minutes, s.reports, s.score_min, s.score_mean, s.cpu_mean, s.cpu_max, s.memory_mean,
  s.memory_max, s.disk_max, ifNull(l.requests, 0), ifNull(l.losses, 0), ifNull(l.errors, 0), r.revision + 1
FROM (
  SELECT site, toStartOfHour(minute) AS hour, count() AS minutes, sum(reports) AS reports,
    min(m.score_min) AS score_min, avg(score) AS score_mean, avg(cpu) AS cpu_mean, max(m.cpu_max) AS cpu_max,
    avg(memory) AS memory_mean, max(m.memory_max) AS memory_max, max(m.disk_max) AS disk_max
  FROM plumbline.site_minute AS m
  WHERE minute >= toDateTime({from:UInt32}) AND minute < toDateTime({to:UInt32}) GROUP BY site, hour
) AS s
LEFT JOIN (
  SELECT site, toStartOfHour(minute) AS hour, sum(requests) AS requests, sum(losses) AS losses, sum(errors) AS errors
  FROM (${LINK_DELTAS}) GROUP BY site, hour
) AS l ON l.site = s.site AND l.hour = s.hour
LEFT JOIN (
  SELECT site, hour, max(revision) AS revision FROM plumbline.site_hour_count
  WHERE hour >= toDateTime({from:UInt32}) AND hour < toDateTime({to:UInt32}) GROUP BY site, hour
) AS r ON r.site = s.site AND r.hour = s.hour`;

const COUNT_VIRTUAL_SITE_HOURS = `
INSERT INTO plumbline.virtual_site_hour_count (virtual_site, hour, minutes, members_max, member_minutes,
  green_minutes, orange_minutes, red_minutes, unknown_minutes, score_min, score_mean, cpu_histogram, memory_histogram,
  links_requests, links_losses, links_errors, workloads_down_max, revision)
SELECT m.virtual_site, m.hour, m.minutes, m.members_max, m.member_minutes, m.green, m.orange, m.red, m.unknown,
  m.score_min, m.score_mean, m.cpu_histogram, m.memory_histogram, m.requests, m.losses, m.errors, m.down_max,
  r.revision + 1
FROM (
  SELECT virtual_site, toStartOfHour(minute) AS hour, count() AS minutes, max(members) AS members_max,
    sum(members) AS member_minutes, sum(v.green) AS green, sum(v.orange) AS orange, sum(v.red) AS red,
    sum(v.unknown) AS unknown, min(v.score_min) AS score_min,
    if(green + orange + red = 0, NULL,
      sum(ifNull(v.score_mean, 0) * (v.green + v.orange + v.red)) / (green + orange + red)) AS score_mean,
    sumForEach(v.cpu_histogram) AS cpu_histogram, sumForEach(v.memory_histogram) AS memory_histogram,
    sum(links_requests) AS requests, sum(links_losses) AS losses, sum(links_errors) AS errors,
    max(workloads_down) AS down_max
  FROM plumbline.virtual_site_minute AS v
  WHERE minute >= toDateTime({from:UInt32}) AND minute < toDateTime({to:UInt32})
    AND ({name:String} = '' OR virtual_site = {name:String})
  GROUP BY virtual_site, hour
) AS m
LEFT JOIN (
  SELECT virtual_site, hour, max(revision) AS revision FROM plumbline.virtual_site_hour_count
  WHERE hour >= toDateTime({from:UInt32}) AND hour < toDateTime({to:UInt32}) GROUP BY virtual_site, hour
) AS r ON r.virtual_site = m.virtual_site AND r.hour = m.hour`;

export const HOUR_MS = 3_600_000;

/** Counts one hour (its start, epoch ms) of every site and virtual site. */
export async function countHour(store: Store, hourMs: number): Promise<void> {
  const from = hourMs / 1000;
  const to = from + HOUR_MS / 1000;
  await store.derive(COUNT_SITE_HOURS, { from, to, first: from, last: to - 60 });
  await countVirtualSiteHour(store, hourMs);
}

/** Counts one hour of one virtual site or of all. */
export async function countVirtualSiteHour(store: Store, hourMs: number, name = ''): Promise<void> {
  await store.derive(COUNT_VIRTUAL_SITE_HOURS, { from: hourMs / 1000, to: (hourMs + HOUR_MS) / 1000, name });
}
