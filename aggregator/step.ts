import type { LogRecord } from '../core/ports/log.ts';

/** Why a record was refused; stable, as they stand in the store and in metrics. */
export const QUARANTINE_REASONS = [
  'too-short',
  'too-large',
  'schema',
  'version',
  'identity',
  'unregistered',
  'mac',
  'clock',
  'conflict',
] as const;
export type QuarantineReason = (typeof QUARANTINE_REASONS)[number];

/** `claim` is what the record says it is, so that the ledger can account for it; null when it can't be told. */
export type Refusal = {
  ok: false;
  reason: QuarantineReason;
  detail: string;
  claim: { boot: string; seq: number } | null;
};

/** What every step of the pipeline gives: what the next one needs, or why the record goes no further. */
export type Step<T> = { ok: true; value: T } | Refusal;

export function refuse(reason: QuarantineReason, detail: string, claim: Refusal['claim'] = null): Refusal {
  return { ok: false, reason, detail, claim: claim && { boot: claim.boot, seq: claim.seq } };
}

/** A record that was refused, with why. */
export type Refused = { record: LogRecord; refusal: Refusal };
