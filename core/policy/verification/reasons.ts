import type { Reason } from '../evidence.ts';

/** Why a site or a stage has the verdict that it has: stable, documented one by one in docs/verification.md. */
export const REASONS = {
  // Whether the generation is what the site runs.
  'no-report': 'inconclusive',
  'target-not-seen': 'inconclusive',
  'enforcement-off': 'inconclusive',
  disarmed: 'inconclusive',
  'not-applied': 'inconclusive',
  refused: 'fail',
  'hub-away': 'inconclusive',
  orphaned: 'inconclusive',
  withdrawn: 'inconclusive',
  'other-generation': 'inconclusive',
  'other-digest': 'inconclusive',
  'other-mode': 'inconclusive',
  'not-live': 'inconclusive',
  'was-not-live': 'inconclusive',
  'not-applicable': 'not-applicable',
  'workloads-gone': 'inconclusive',
  // Whether the evidence is complete.
  stale: 'inconclusive',
  soaking: 'inconclusive',
  gap: 'inconclusive',
  quarantined: 'inconclusive',
  restarted: 'inconclusive',
  'lost-observations': 'inconclusive',
  'counter-reset': 'inconclusive',
  'counter-decreased': 'inconclusive',
  'set-full': 'inconclusive',
  'left-out': 'inconclusive',
  'clock-off': 'inconclusive',
  'clock-unknown': 'inconclusive',
  // What the traffic did.
  'no-traffic': 'inconclusive',
  'rule-without-traffic': 'inconclusive',
  'no-proof': 'inconclusive',
  'unexpected-denies': 'fail',
  // What probes met.
  'probe-missing': 'inconclusive',
  'probe-unable': 'inconclusive',
  'probe-unreachable': 'inconclusive',
  'probe-unanswered': 'inconclusive',
  'probe-uncounted': 'inconclusive',
  'probe-blocked': 'fail',
  'probe-not-denied': 'fail',
  // What became of the score.
  'score-drop': 'fail',
  'score-drop-elsewhere': 'inconclusive',
  'score-unknown': 'inconclusive',
  // Of a stage as a whole.
  'no-sites': 'inconclusive',
  'no-applicable-site': 'not-applicable',
  'too-many-failures': 'fail',
  'too-few-passed': 'inconclusive',
  'too-few-hits': 'inconclusive',
  unproven: 'pass',
} as const;
export type ReasonCode = keyof typeof REASONS;

/** As long as a stage's status takes. */
const LONGEST = 300;

export function reason(code: ReasonCode, text: string): Reason & { code: ReasonCode } {
  return { code, text: text.length <= LONGEST ? text : `${text.slice(0, LONGEST - 1)}…` };
}
export type Found = ReturnType<typeof reason>;

export function seconds(ms: number): string {
  return `${Math.round(ms / 1000)} s`;
}
