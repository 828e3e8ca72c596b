import { Compile } from 'typebox/compile';
import { PolicyStatus } from '../../core/model/policy-report.ts';
import type { SiteEvidence } from '../../core/policy/evidence.ts';
import { NEWEST_SCORES } from './evidence-sql.ts';

/** A row of POLICY_SQL: one boot of a site. */
export type PolicyFound = {
  site: string;
  boot: string;
  reports: number;
  from_seq: number;
  to_seq: number;
  clock_offset: number;
  held_reports: number;
  /** The first that has the stage applied; whether a counter fell to it is not of the stage. */
  first: [receivedMs: number, rules: string[], hits: number[], fell: number];
  began_reports: number;
  /** The first that speaks of the generation, and what the row before it says. */
  began: [seq: number, hasPrevious: number, previousSame: number, previousUnexpected: number];
  not_live: number;
  full_sets: number;
  counter_epochs: number[];
  decreases: number;
  lost: number;
  unexpected: number;
  scores: number[];
};
/** A row of NEWEST_SQL. */
export type NewestFound = {
  site: string;
  newest: [
    detail: string,
    enforcement: 'off' | 'on' | 'disarmed',
    receivedMs: number,
    madeMs: number,
    intervalMs: number,
  ];
};
/** A row of REPORT_SQL: one a span, or one of a site that has none. */
export type ReportFound = {
  site: string;
  from_boot: string;
  stored: number;
  scores: number[];
  scores_now: number[];
  is_heard_before: number;
};

const status = Compile(PolicyStatus);

/** A site that said nothing of the policy: its scores are known all the same, if it was heard. */
export function nothingOf(
  site: string,
  quarantined: number,
  reports: readonly ReportFound[] = [],
): SiteEvidence {
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
    scoreBefore: median(reports[0]?.scores ?? []),
    scoreNow: median(reports[0]?.scores_now ?? []),
  };
}

/** From what the store found of one site, its boots in order, to its evidence. */
export function assemble(
  { site, newest }: NewestFound,
  boots: readonly PolicyFound[],
  reports: readonly ReportFound[],
  quarantined: number,
): SiteEvidence {
  const [detail, enforcement, receivedMs, madeMs, intervalMs] = newest;
  const held = boots.filter((one) => one.held_reports > 0);
  const [from] = held;
  let missing = 0;
  let silent = 0;
  for (const { boot, from_seq: first, to_seq: last, reports: rows } of boots) {
    // A row that is there was a report, also once the reports themselves are past their retention.
    const stored = Math.max(rows, reports.find((one) => one.from_boot === boot)?.stored ?? 0);
    missing += Math.max(0, last - first + 1 - stored);
    silent += stored - rows;
  }
  const offset = most(boots, (one) => one.clock_offset, -1);
  return {
    site,
    reports: sum(boots, (one) => one.reports),
    boots: boots.length,
    missing,
    quarantined,
    newestReceivedAtMs: receivedMs,
    newestMadeAtMs: madeMs,
    intervalMs,
    clockOffsetMs: offset < 0 ? null : offset,
    newest: newestOf(detail, enforcement),
    ever: {
      notLive: sum(held, (one) => one.not_live),
      fullSets: most(held, (one) => one.full_sets, 0),
      counterEpochs: new Set(held.flatMap((one) => one.counter_epochs)).size,
      decreases: sum(held, (one) => one.decreases) - (from?.first[3] ?? 0),
      lostObservations: sum(held, (one) => one.lost) + silent,
      unexpectedDenies: most(held, (one) => one.unexpected, 0),
    },
    ...(from === undefined
      ? { hitsBefore: [], unexpectedBefore: 0 }
      : beforeStage(from, boots.find((one) => one.began_reports > 0) ?? from, reports)),
    appliedSinceMs: from?.first[0] ?? null,
    scoreBefore: median(reports[0]?.scores ?? []),
    scoreNow: median(
      from === undefined
        ? (reports[0]?.scores_now ?? [])
        : held.flatMap((one) => one.scores).slice(-NEWEST_SCORES),
    ),
  };
}

/**
 * Counters begin at zero with a generation, so where the site had another before it took this one up in the stage, or none,
 * all of them are the stage's. Where it had the same, or nobody knows, the first report that has it applied is what they are
 * counted from. Unexpected denies begin at zero with a mode, too.
 */
function beforeStage(
  { first: [, rules, hits] }: PolicyFound,
  { began: [, hasPrevious, previousSame, previousUnexpected] }: PolicyFound,
  reports: readonly ReportFound[],
): Pick<SiteEvidence, 'hitsBefore' | 'unexpectedBefore'> {
  const beganAtZero =
    hasPrevious === 1 ? previousSame === 0 : reports.some((one) => one.is_heard_before === 1);
  return {
    hitsBefore: beganAtZero ? [] : rules.map((rule, at) => ({ rule, hits: hits[at] ?? 0 })),
    unexpectedBefore: previousUnexpected,
  };
}

function newestOf(detail: string, enforcement: 'off' | 'on' | 'disarmed'): SiteEvidence['newest'] {
  const said: unknown = JSON.parse(detail);
  if (!status.Check(said)) throw new Error('a row of table policy_report has a detail that is no status');
  const { kind: _, name: __, drift: ___, reason, ...rest } = said;
  return { enforcement, reason: reason ?? '', ...rest };
}

function sum<T>(some: readonly T[], of: (one: T) => number): number {
  return some.reduce((total, one) => total + of(one), 0);
}

function most<T>(some: readonly T[], of: (one: T) => number, least: number): number {
  return some.reduce((largest, one) => Math.max(largest, of(one)), least);
}

/** Of an even number the lower of the two in the middle. */
function median(values: readonly number[]): number | null {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) / 2)] ?? null;
}
