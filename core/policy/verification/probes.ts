import type { ProbeResult } from '../../model/policy-report.ts';
import { plural } from '../../plural.ts';
import type { SiteEvidence, StageQuestion } from '../evidence.ts';
import { MAX_CLOCK_OFFSET_MS } from './completeness.ts';
import { type Found, reason } from './reasons.ts';

/** A result is of now for so many intervals, or so long if that is longer. */
const FRESH = { intervals: 30, leastMs: 300_000 } as const;

/** Every declared probe, for every workload that the site tried it for, by results from after the generation was applied. */
export function probes(
  question: StageQuestion,
  { newest, appliedSinceMs, intervalMs }: SiteEvidence,
): Found[] {
  const oldestMs = question.decidedAtMs - Math.max(FRESH.leastMs, FRESH.intervals * intervalMs);
  return question.probes.flatMap((name) => {
    const results = (newest?.probes ?? []).filter((one) => one.name === name);
    const sinceMs = Math.max(appliedSinceMs ?? Number.POSITIVE_INFINITY, newest?.appliedAtMs ?? 0, oldestMs);
    const untilMs = question.decidedAtMs + MAX_CLOCK_OFFSET_MS;
    const valid = results.filter(({ atMs }) => atMs > sinceMs && atMs <= untilMs);
    const tried = new Set(valid.map(({ workload }) => workload)).size;
    const wanted = Math.max(1, newest?.workloads ?? 0);
    if (tried < wanted)
      return [
        reason(
          'probe-missing',
          `probe ${name} was tried for ${tried} of ${plural(wanted, 'workload')} since the generation was applied, and lately`,
        ),
      ];
    return valid.flatMap((one) => judge(one, question) ?? []);
  });
}

function judge(result: ProbeResult, { mode, probesOverUdp = [] }: StageQuestion): Found | null {
  const { name, workload, outcome, control, expect, detail } = result;
  const what = `probe ${name} of ${workload}`;
  const why = detail === undefined ? '' : ` (${detail})`;
  if (outcome === 'unable') return reason('probe-unable', `${what} could not be made${why}`);
  if (expect === 'allow') return judgeAllowed(result, probesOverUdp.includes(name), what, why);
  if (mode === 'enforce' && outcome === 'connected')
    return reason('probe-not-denied', `${what} connected and was to be denied${why}`);
  if (control !== 'connected')
    return reason('probe-unreachable', `${what}: the target did not answer the control either${why}`);
  if (mode === 'enforce' && outcome !== 'refused')
    return reason('probe-uncounted', `${what} got no answer, where this generation refuses${why}`);
  if (result.denyMoved) return null;
  if (mode === 'audit' && outcome === 'connected')
    return reason('probe-not-denied', `${what} would not have been denied${why}`);
  return reason('probe-uncounted', `${what} was refused, but not by this generation${why}`);
}

function judgeAllowed(
  { outcome, control, denyMoved }: ProbeResult,
  isOverUdp: boolean,
  what: string,
  why: string,
): Found | null {
  if (denyMoved) return reason('probe-blocked', `${what} was to be allowed and counts as denied${why}`);
  if (outcome === 'connected') return null;
  if (control !== 'connected')
    return reason('probe-unreachable', `${what}: the target did not answer the control either${why}`);
  // What this generation refuses counts as denied; any other silence may be a lost datagram.
  if (isOverUdp && outcome === 'no-answer')
    return reason('probe-unanswered', `${what} got no answer, while the control did${why}`);
  return reason(
    'probe-blocked',
    `${what} was to be allowed and met ${outcome}, while the control connected${why}`,
  );
}
