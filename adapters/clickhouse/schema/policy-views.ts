import { DATABASE } from './database.ts';

/*
 * What people and Grafana read of policies. Counters are totals of one counting (site, policy, generation, counter epoch);
 * per minute or hour the largest is taken, so that rows that are there twice, or not merged yet, change nothing.
 */

/**
 * Hits of a rule in a minute: its total less that of the newest minute before, within the hour before; a counting that
 * began since then began at zero. Null where nothing is known from before.
 */
const RULE_HITS_MINUTE = `
  SELECT site, policy_kind, policy, rule, minute, generation, mode, counter_epoch, hits_total, probe_hits_total,
    multiIf(before.1 = 0, NULL, before.2 = (generation, counter_epoch), toUInt64(hits_total - least(before.3, hits_total)), hits_total)
      AS hits
  FROM (
    SELECT site, policy_kind, policy, rule, minute, newest.1.1 AS generation, newest.1.2 AS counter_epoch, newest.2 AS mode,
      newest.3 AS hits_total, newest.4 AS probe_hits_total,
      lagInFrame((1, newest.1, newest.3)) OVER (PARTITION BY site, policy_kind, policy, rule ORDER BY minute
        RANGE BETWEEN 3600 PRECEDING AND CURRENT ROW) AS before
    FROM (
      SELECT toString(site) AS site, policy_kind, policy, rule, toStartOfMinute(ts) AS minute,
        argMax(((generation, counter_epoch), toString(mode), hits, probe_hits), (toString(boot), seq)) AS newest
      FROM ${DATABASE}.policy_report
      ARRAY JOIN rule, hits, probe_hits
      GROUP BY site, policy_kind, policy, rule, minute
    )
  )`;

/** New connections to a destination in an hour: what its total grew by from report to report, one that began again from zero. */
const FLOWS_HOUR = `
  SELECT site, workload, direction, name, address, port, protocol, verdict, hour, totals[-1].3 AS connections_total,
    arraySum(arrayMap((now, before) -> now - if(now < before, toUInt64(0), before), arrayMap(one -> one.3, totals),
      arrayPushFront(arrayPopBack(arrayMap(one -> one.3, totals)), totals[1].3))) AS connections
  FROM (
    SELECT site, workload, direction, argMax(flow.name, received_at) AS name, address, port, protocol, verdict,
      toStartOfHour(ts) AS hour, arraySort(groupUniqArray((toString(boot), seq, connections))) AS totals
    FROM ${DATABASE}.flow GROUP BY site, workload, direction, address, port, protocol, verdict, hour)`;

export const POLICY_VIEWS: Readonly<Record<string, string>> = {
  rule_hits_minute: RULE_HITS_MINUTE,
  flows_hour: FLOWS_HOUR,
  rollout_evidence: `SELECT rollout, stage_key, decided_at, site, verdict, reason_code, reason_text, evidence
    FROM ${DATABASE}.site_evidence FINAL`,
  decisions: `SELECT rollout, stage_key, decided_at, verdict, reason_text, verifier_version, question
    FROM ${DATABASE}.decision FINAL`,
};
