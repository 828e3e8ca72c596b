import type { PolicyStatus } from '../core/model/policy-report.ts';
import type { RowOf } from '../core/model/rows.ts';
import type { Judged } from './score.ts';

const UINT32 = 0xffff_ffff;
const INT32 = 0x7fff_ffff;

/** What a report says of each policy, a row each, the whole of it as JSON beside what queries ask for. */
export function policyRows({ report, record, scored }: Judged): RowOf<'policy_report'>[] {
  const { policy } = report;
  if (policy === undefined) return [];
  // Of the dataplane alone: what other probes missed takes nothing from this evidence.
  const reader = report.probes.find(({ name }) => name === 'policy');
  const lost = reader === undefined ? 0 : reader.lost + (reader.ok ? 0 : 1);
  const offset = report.clockOffsetMs;
  const shared = {
    site: report.site,
    boot: report.boot,
    seq: report.seq,
    ts: report.ts,
    received_at: record.appendedAtMs,
    interval_ms: report.intervalMs,
    clock_offset_ms: offset === null ? null : Math.min(INT32, Math.max(-INT32, Math.round(offset))),
    score: scored.score,
    lost: uint32(lost),
    enforcement: policy.enforcement,
  };
  return [...newestOfEach(policy.policies)].map((status) => ({ ...shared, ...statusRow(status) }));
}

/** Two of one name would be one row, and which of them chance. */
function newestOfEach(policies: readonly PolicyStatus[]): Iterable<PolicyStatus> {
  return new Map(policies.map((status) => [`${status.kind}/${status.name}`, status])).values();
}

function statusRow(status: PolicyStatus) {
  return {
    policy_kind: status.kind,
    policy: status.name,
    seen_epoch: uint32(status.seen.epoch),
    seen_n: Math.min(Number.MAX_SAFE_INTEGER, status.seen.n),
    generation: status.generation,
    digest: status.digest,
    mode: status.mode,
    phase: status.phase,
    live: status.live ? 1 : 0,
    workloads: uint32(status.workloads),
    counter_epoch: status.counterEpoch,
    rule: status.rules.map(({ rule }) => rule),
    hits: status.rules.map(({ hits }) => hits),
    probe_hits: status.rules.map(({ probeHits }) => probeHits),
    denies: status.denies,
    probe_denies: status.probeDenies,
    unexpected_denies: status.unexpectedDenies,
    full_sets: uint32(status.fullSets),
    detail: JSON.stringify(status),
  };
}

/** Totals of connections as the report gives them: cumulative, so that one that comes twice changes nothing. */
export function flowRows({ report, record }: Judged): RowOf<'flow'>[] {
  const flows = report.policy?.flows ?? [];
  return flows.map(({ workload, direction, address, name, port, protocol, verdict, connections }) => ({
    site: report.site,
    boot: report.boot,
    seq: report.seq,
    ts: report.ts,
    received_at: record.appendedAtMs,
    workload,
    direction,
    address,
    name: name ?? '',
    port,
    protocol,
    verdict,
    connections,
  }));
}

function uint32(value: number): number {
  return Math.min(UINT32, value);
}
