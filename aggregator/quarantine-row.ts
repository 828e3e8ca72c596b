import type { QuarantineRow } from '../core/model/rows.ts';
import { hashOf } from './authenticate.ts';
import { laneOf } from './report-row.ts';
import type { Refused } from './step.ts';

const SAMPLE_BYTES = 4096;

/** A refused record as evidence: what it was, where from, and why. */
export function quarantineRow({ record, refusal }: Refused): QuarantineRow {
  return {
    site: record.key.slice(0, 63),
    received_at: record.appendedAtMs,
    record_hash: hashOf(record.value),
    lane: laneOf(record),
    reason: refusal.reason,
    detail: refusal.detail.slice(0, 500),
    boot: refusal.claim?.boot ?? '',
    seq: refusal.claim?.seq ?? 0,
    size_bytes: record.value.byteLength,
    sample: record.value.subarray(0, SAMPLE_BYTES),
  };
}
