import type { Store } from '../../core/ports/store.ts';

/*
 * The same figures twice: as the store's views give them, and computed again from the raw payloads of `report` by plain
 * SQL that shares nothing with what made the views.
 */

const RAW = `(SELECT site, JSONExtractString(payload, 'boot') AS boot, JSONExtractUInt(payload, 'seq') AS seq,
  fromUnixTimestamp64Milli(JSONExtractInt(payload, 'ts'), 'UTC') AS ts, received_at,
  score, JSONExtractFloat(payload, 'host', 'cpu', 'utilization') AS cpu,
  JSONExtractFloat(payload, 'host', 'memory', 'utilization') AS memory,
  JSONExtractUInt(JSONExtractArrayRaw(payload, 'host', 'interfaces')[1], 'rxBytes') AS rx,
  JSONExtractArrayRaw(payload, 'links') AS links FROM plumbline.report FINAL)`;

const LINKS = `(SELECT site, ts, JSONExtractString(l, 'name') AS link, JSONExtractUInt(l, 'epoch') AS epoch,
  JSONExtractUInt(l, 'requests') AS requests, JSONExtractUInt(l, 'losses') AS losses, JSONExtractBool(l, 'up') AS up,
  JSONExtractFloat(l, 'latency', 'p90Ms') AS p90 FROM ${RAW} ARRAY JOIN links AS l)`;

const PAIRS: Readonly<Record<string, { view: string; truth: string }>> = {
  minutes: {
    view: `SELECT site, toString(minute) AS at, reports, boot AS b, seq AS q, score AS s, score_min, round(cpu, 4) AS c,
      round(cpu_max, 4) AS cm, round(memory_max, 4) AS mm, net_rx_bytes, toString(received_at) AS r
      FROM plumbline.site_minute ORDER BY site, minute`,
    truth: `SELECT site, toString(toStartOfMinute(ts)) AS at, uniqExact(boot, seq) AS reports,
      argMax(x.boot, (x.boot, x.seq)) AS b, argMax(x.seq, (x.boot, x.seq)) AS q,
      argMax(x.score, (x.boot, x.seq)) AS s, min(x.score) AS score_min,
      round(argMax(cpu, (x.boot, x.seq)), 4) AS c, round(max(cpu), 4) AS cm, round(max(memory), 4) AS mm,
      max(rx) AS net_rx_bytes, toString(argMax(received_at, (x.boot, x.seq))) AS r
      FROM ${RAW} AS x GROUP BY site, at ORDER BY site, at`,
  },
  links: {
    view: `SELECT site, link, epoch, toString(minute) AS at, requests_total, losses_total, up AS u, up_min AS um,
      round(p90_ms, 2) AS p, round(p90_ms_max, 2) AS pm FROM plumbline.links_minute ORDER BY site, link, epoch, at`,
    truth: `SELECT site, link, epoch, toString(toStartOfMinute(ts)) AS at, max(requests) AS requests_total,
      max(losses) AS losses_total, toUInt8(argMax(x.up, ts)) AS u, toUInt8(min(x.up)) AS um,
      round(argMax(p90, ts), 2) AS p, round(max(p90), 2) AS pm
      FROM ${LINKS} AS x GROUP BY site, link, epoch, at ORDER BY site, link, epoch, at`,
  },
  ledger: {
    view: `SELECT site, boot, stored, seq_max, held_seq, toString(ts_min) AS f, toString(ts_max) AS l
      FROM plumbline.boot_ledger ORDER BY site, boot`,
    truth: `SELECT site, boot, uniqExact(seq) AS stored, max(x.seq) AS seq_max, max(x.seq) AS held_seq,
      toString(min(ts)) AS f, toString(max(ts)) AS l FROM ${RAW} AS x GROUP BY site, boot ORDER BY site, boot`,
  },
  ranges: {
    view: `SELECT site, boot, arraySum(range -> range.2 - range.1 + 1, ranges) AS stored,
      length(ranges) AS stretches FROM plumbline.stored_ranges ORDER BY site, boot`,
    truth: `SELECT site, boot, uniqExact(x.seq) AS stored,
      uniqExactIf(x.seq, (site, boot, x.seq - 1) NOT IN (SELECT site, boot, seq FROM plumbline.report)) AS stretches
      FROM ${RAW} AS x GROUP BY site, boot ORDER BY site, boot`,
  },
  current: {
    view: `SELECT site, boot AS b, seq AS q, toString(ts) AS at, score AS s, links_up FROM plumbline.site_current ORDER BY site`,
    truth: `SELECT site, argMax(x.boot, (x.boot, x.seq)) AS b, argMax(x.seq, (x.boot, x.seq)) AS q,
      toString(argMax(ts, (x.boot, x.seq))) AS at, argMax(x.score, (x.boot, x.seq)) AS s,
      toUInt8(arrayCount(l -> JSONExtractBool(l, 'up'), argMax(links, (x.boot, x.seq)))) AS links_up
      FROM ${RAW} AS x GROUP BY site ORDER BY site`,
  },
};

export async function viewsAndTruth(
  store: Store,
): Promise<{ views: Record<string, object[]>; truth: Record<string, object[]> }> {
  const views: Record<string, object[]> = {};
  const truth: Record<string, object[]> = {};
  for (const [name, pair] of Object.entries(PAIRS)) {
    views[name] = await store.query(pair.view);
    truth[name] = await store.query(pair.truth);
  }
  return { views, truth };
}
