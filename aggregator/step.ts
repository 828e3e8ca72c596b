import type { DroppedRange } from '../core/model/report.ts';
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
  'unstorable',
] as const;
export type QuarantineReason = (typeof QUARANTINE_REASONS)[number];

/** `claim` is what the record says it is, so that the ledger can account for it; null when it can't be told. */
export type Refusal = {
  ok: false;
  reason: QuarantineReason;
  detail: string;
  claim: { boot: string; seq: number } | null;
  /**
   * What the site says it dropped, where the MAC vouches that it was the site: it forgets these ranges once the log has the
   * report, whatever becomes of the report itself.
   */
  dropped: readonly DroppedRange[];
};

/** What every step of the pipeline gives: what the next one needs, or why the record goes no further. */
export type Step<T> = { ok: true; value: T } | Refusal;

type Claim = { boot: string; seq: number; dropped?: readonly DroppedRange[] };

export function refuse(reason: QuarantineReason, detail: string, said: Claim | null = null): Refusal {
  const isTheSites = reason === 'clock' || reason === 'conflict';
  return {
    ok: false,
    reason,
    detail,
    claim: said && { boot: said.boot, seq: said.seq },
    dropped: isTheSites ? (said?.dropped ?? []) : [],
  };
}

/** A record that was refused, with why. */
export type Refused = { record: LogRecord; refusal: Refusal };
