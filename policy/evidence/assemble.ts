import { Compile } from 'typebox/compile';
import { PolicyStatus } from '../../core/model/policy-report.ts';
import type { SiteEvidence } from '../../core/policy/evidence.ts';

/** A row of POLICY_SQL. A span is boot, first and last number, and how many of them are rows. */
export type PolicyFound = {
  site: string;
  detail: string;
  enforcement: 'off' | 'on' | 'disarmed';
  received_ms: number;
  made_ms: number;
  interval_ms: number;
  reports: number;
  spans: [boot: string, from: number, to: number, rows: number][];
  clock_offset: number;
  is_applied: number;
  first_boot: string;
  first_seq: number;
  first_received_ms: number;
  first_rule: string[];
  first_hits: number[];
  has_previous: number;
  previous_same: number;
  previous_unexpected: number;
  not_live: number;
  full_sets: number;
  counter_epochs: number;
  decreases: number;
  lost: number;
  unexpected: number;
  scores: number[];
};
/** A row of REPORT_SQL: one a span. */
export type ReportFound = {
  site: string;
  from_boot: string;
  stored: number;
  scores: number[];
  is_heard_before: number;
};

const status = Compile(PolicyStatus);

/** A site of which nothing is recorded, but for what was refused. */
export function nothingOf(site: string, quarantined: number): SiteEvidence {
  return {
    site,
    reports: 0,
    boots: 0,
    missing: 0,
    quarantined,
    newestReceivedAtMs: null,
    newestMadeAtMs: null,
    intervalMs: 0,
    clockOffsetMs: null,
    newest: null,
    ever: {
      notLive: 0,
      fullSets: 0,
      counterEpochs: 0,
      decreases: 0,
      lostObservations: 0,
      unexpectedDenies: 0,
    },
    hitsBefore: [],
    unexpectedBefore: 0,
    appliedSinceMs: null,
    scoreBefore: null,
    scoreNow: null,
  };
}

/** From what the store found of one site to its evidence. */
export function assemble(
  found: PolicyFound,
  reports: readonly ReportFound[],
  quarantined: number,
): SiteEvidence {
  const isApplied = found.is_applied === 1;
  let missing = 0;
  let silent = 0;
  for (const [boot, from, to, rows] of found.spans) {
    // A row that is there was a report, also once the reports themselves are past their retention.
    const stored = Math.max(rows, reports.find((one) => one.from_boot === boot)?.stored ?? 0);
    missing += Math.max(0, to - from + 1 - stored);
    silent += stored - rows;
  }
  return {
    site: found.site,
    reports: found.reports,
    boots: found.spans.length,
    missing,
    quarantined,
    newestReceivedAtMs: found.received_ms,
    newestMadeAtMs: found.made_ms,
    intervalMs: found.interval_ms,
    clockOffsetMs: found.reports === 0 || found.clock_offset < 0 ? null : found.clock_offset,
    newest: newestOf(found),
    ever: {
      notLive: found.not_live,
      fullSets: isApplied ? found.full_sets : 0,
      counterEpochs: found.counter_epochs,
      decreases: found.decreases,
      lostObservations: found.lost + silent,
      unexpectedDenies: isApplied ? found.unexpected : 0,
    },
    hitsBefore: isApplied ? hitsBefore(found, reports) : [],
    unexpectedBefore: isApplied && found.previous_same === 1 ? found.previous_unexpected : 0,
    appliedSinceMs: isApplied ? found.first_received_ms : null,
    scoreBefore: median(reports[0]?.scores ?? []),
    scoreNow: isApplied ? median(found.scores) : null,
  };
}

/**
 * Counters begin at zero with a generation, so where the report before had another, or none, all of them are the stage's.
 * Where it had the same, or nobody knows, the first report of the stage is what they are counted from.
 */
function hitsBefore(found: PolicyFound, reports: readonly ReportFound[]): SiteEvidence['hitsBefore'] {
  const beganAtZero =
    found.has_previous === 1 ? found.previous_same === 0 : reports.some((one) => one.is_heard_before === 1);
  if (beganAtZero) return [];
  return found.first_rule.map((rule, at) => ({ rule, hits: found.first_hits[at] ?? 0 }));
}

function newestOf({ detail, enforcement }: PolicyFound): SiteEvidence['newest'] {
  const said: unknown = JSON.parse(detail);
  if (!status.Check(said)) throw new Error('a row of table policy_report has a detail that is no status');
  const { kind: _, name: __, drift: ___, reason, ...rest } = said;
  return { enforcement, reason: reason ?? '', ...rest };
}

/** Of an even number the lower of the two in the middle. */
function median(sorted: readonly number[]): number | null {
  return sorted[Math.floor((sorted.length - 1) / 2)] ?? null;
}
