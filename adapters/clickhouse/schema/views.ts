import { LEDGER_BUCKET } from './boot-ledger.ts';
import { DATABASE } from './database.ts';
import { POLICY_VIEWS } from './policy-views.ts';

/*
 * What people, Grafana and the hub's own queries read. Ratios are from 0 to 1, times DateTime UTC, null is not observed.
 * They fold what merges have not folded yet, so they give the same answer at any moment. A condition on what a table is
 * ordered by (site, minute, virtual_site) reaches the table; always give one on large ones.
 */

const ratio = (column: string, name: string) => `${column} / 10000 AS ${name}`;
const fromMs = (column: string, name: string) => `fromUnixTimestamp64Milli(${column}, 'UTC') AS ${name}`;

/** By function and not as `last.name`: that would read the stored element by itself, before FINAL has folded the tuples. */
const last = (element: string) => `tupleElement(last, '${element}')`;

/** The newest report of each site; the newest row of its newest boot is found by keys alone. */
const SITE_CURRENT = `
  SELECT site, boot, (max(newest) AS n).seq AS seq, ${fromMs('n.ts_ms', 'ts')},
    ${fromMs('-n.first_received', 'received_at')}, n.kind AS kind, n.interval_ms AS interval_ms,
    n.clock_offset_ms AS clock_offset_ms, n.missed AS missed, n.score AS score, n.shown AS shown,
    n.connectivity AS connectivity, n.reliability AS reliability, n.security AS security,
    n.performance AS performance, ${ratio('n.cpu_bp', 'cpu')}, ${ratio('n.memory_bp', 'memory')},
    ${ratio('n.disk_bp', 'disk')}, n.uptime_s AS uptime_s, n.links_total AS links_total, n.links_up AS links_up
  FROM ${DATABASE}.boot_ledger_agg
  WHERE (site, boot, bucket) IN (
    SELECT site, last.1, last.2 FROM (
      SELECT site, max((toString(boot), bucket)) AS last FROM ${DATABASE}.boot_ledger_agg GROUP BY site))
  GROUP BY site, boot`;

const SITE_MINUTE = `
  SELECT site, minute, length(report_numbers) AS reports, ${last('boot')} AS boot, ${last('seq')} AS seq,
    ${fromMs(`-${last('first_received')}`, 'received_at')}, ${last('interval_ms')} AS interval_ms,
    ${last('score')} AS score, ${last('shown')} AS shown, score_min, ${last('connectivity')} AS connectivity,
    ${last('reliability')} AS reliability, ${last('security')} AS security, ${last('performance')} AS performance,
    ${ratio(last('cpu_bp'), 'cpu')}, ${ratio('cpu_bp_max', 'cpu_max')},
    ${ratio(last('memory_bp'), 'memory')}, ${ratio('memory_bp_max', 'memory_max')},
    ${ratio(last('swap_bp'), 'swap')}, ${ratio(last('disk_bp'), 'disk')}, ${ratio('disk_bp_max', 'disk_max')},
    ${ratio(last('pressure_cpu_bp'), 'pressure_cpu')}, ${ratio(last('pressure_memory_bp'), 'pressure_memory')},
    ${ratio(last('pressure_io_bp'), 'pressure_io')}, net_rx_bytes_max AS net_rx_bytes,
    net_tx_bytes_max AS net_tx_bytes, ${last('workloads_total')} AS workloads_total, ${last('workloads_down')} AS workloads_down,
    ${last('workloads_in_progress')} AS workloads_in_progress, ${last('workloads_crash_looping')} AS workloads_crash_looping,
    ${last('workloads_waiting_for_image')} AS workloads_waiting_for_image,
    ${last('workloads_out_of_memory')} AS workloads_out_of_memory, ${last('workloads_unschedulable')} AS workloads_unschedulable
  FROM ${DATABASE}.site_minute_agg FINAL`;

/**
 * What happened in a minute is a total less the total of the minute before. A link's counter that was not there then began
 * at 0; when nothing at all is known of the link in the minute before, neither is the difference: null.
 */
const LINKS_MINUTE = `
  SELECT site, link, minute, epoch, requests_total, losses_total, errors_total,
    if(known, requests_total - least(before.2, requests_total), NULL) AS requests,
    if(known, losses_total - least(before.3, losses_total), NULL) AS losses,
    if(known, errors_total - least(before.4, errors_total), NULL) AS errors,
    up, up_min, p50_ms, p90_ms, p99_ms, p50_ms_max, p90_ms_max, p99_ms_max
  FROM (
    SELECT l.site AS site, l.link AS link, l.minute AS minute, l.epoch AS epoch, requests_max AS requests_total,
      losses_max AS losses_total, errors_max AS errors_total, notEmpty(p.totals) AS known,
      arrayFirst(total -> total.1 = l.epoch, p.totals) AS before, ${last('up')} AS up, up_min,
      ${last('p50_us')} / 1000 AS p50_ms, ${last('p90_us')} / 1000 AS p90_ms, ${last('p99_us')} / 1000 AS p99_ms,
      p50_us_max / 1000 AS p50_ms_max, p90_us_max / 1000 AS p90_ms_max, p99_us_max / 1000 AS p99_ms_max
    FROM ${DATABASE}.links_minute_agg AS l FINAL
    LEFT JOIN (
      SELECT site, link, minute + 60 AS minute,
        groupArray((epoch, requests_max, losses_max, errors_max)) AS totals
      FROM ${DATABASE}.links_minute_agg FINAL GROUP BY site, link, minute
    ) AS p ON p.site = l.site AND p.link = l.link AND p.minute = l.minute)`;

/** A row of the ledger a boot, and which numbers of it are stored, for who reconciles. */
const BOOT_LEDGER = `
  SELECT site, boot, sum(stored_in_bucket) AS stored, max(n.seq) AS seq_max, max(prev) AS p,
    p.boot AS prev_boot, p.seq AS prev_seq, max(n) AS newest_said, newest_said.held_boot AS held_boot,
    newest_said.held_seq AS held_seq, min(first) AS ts_min, max(final) AS ts_max
  FROM (
    SELECT site, boot, bucket, groupBitmapMerge(stored) AS stored_in_bucket, max(newest) AS n, max(prev) AS prev,
      min(ts_min) AS first, max(ts_max) AS final
    FROM ${DATABASE}.boot_ledger_agg GROUP BY site, boot, bucket)
  GROUP BY site, boot`;

/** Sequence numbers of a boot that are stored, as [from, to] ranges, in order. */
const STORED_RANGES = `
  SELECT site, boot,
    arraySort(arrayFlatten(groupArray(arrayMap(at -> bucket * ${LEDGER_BUCKET} + at, numbers)))) AS seqs,
    arrayFilter((seq, before) -> seq != before + 1 OR before = 0, seqs, arrayPushFront(arrayPopBack(seqs), 0)) AS starts,
    arrayFilter((seq, after) -> seq + 1 != after, seqs, arrayPushBack(arrayPopFront(seqs), 0)) AS ends,
    arrayZip(starts, ends) AS ranges
  FROM (
    SELECT site, boot, bucket, bitmapToArray(groupBitmapMergeState(stored)) AS numbers
    FROM ${DATABASE}.boot_ledger_agg GROUP BY site, boot, bucket)
  GROUP BY site, boot`;

const ARRIVALS = `
  SELECT site, received_at, lane, 'stored' AS status, boot, seq, ts, '' AS reason, '' AS detail,
    length(payload) AS size_bytes
  FROM ${DATABASE}.report FINAL
  UNION ALL
  SELECT site, received_at, lane, 'quarantined', boot, seq, NULL, reason, detail, size_bytes
  FROM ${DATABASE}.quarantine FINAL`;

const VIEWS: Readonly<Record<string, string>> = {
  site_current: SITE_CURRENT,
  site_minute: SITE_MINUTE,
  site_hour: `SELECT *, revision > 1 AS revised FROM ${DATABASE}.site_hour_count FINAL`,
  virtual_site_minute: `SELECT *, revision > 1 AS revised FROM ${DATABASE}.virtual_site_minute_count FINAL`,
  virtual_site_hour: `SELECT *, revision > 1 AS revised FROM ${DATABASE}.virtual_site_hour_count FINAL`,
  links_minute: LINKS_MINUTE,
  boot_ledger: `SELECT site, boot, stored, seq_max, prev_boot, prev_seq, held_boot, held_seq, ts_min, ts_max
    FROM (${BOOT_LEDGER})`,
  stored_ranges: `SELECT site, boot, ranges FROM (${STORED_RANGES})`,
  events: `SELECT at, id, kind, severity, site, virtual_site, by, message FROM ${DATABASE}.event FINAL`,
  arrivals: ARRIVALS,
  ...POLICY_VIEWS,
};

export const VIEW_STATEMENTS: readonly string[] = Object.entries(VIEWS).map(
  ([name, select]) => `CREATE OR REPLACE VIEW ${DATABASE}.${name} AS ${select}`,
);
