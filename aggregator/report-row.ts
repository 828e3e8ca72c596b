import type { Link, Report } from '../core/model/report.ts';
import type { ReportRow } from '../core/model/rows.ts';
import { fullest } from '../core/score/next-state.ts';
import type { Judged } from './score.ts';

const UINT32 = 0xffff_ffff;
const INT32 = 0x7fff_ffff;

/** Fifth step: the row. Every figure is brought within its column, so that no report can make the store refuse a batch. */
export function reportRow({ report, record, json, hash, scored }: Judged): ReportRow {
  const { score, shown, components, losses } = scored;
  const links = report.links ?? [];
  return {
    site: report.site,
    boot: report.boot,
    seq: report.seq,
    ts: report.ts,
    received_at: record.appendedAtMs,
    lane: record.topic === 'reports' ? 'live' : 'backfill',
    kind: report.kind,
    payload_hash: hash,
    interval_ms: report.intervalMs,
    clock_offset_ms: report.clockOffsetMs === null ? null : int32(report.clockOffsetMs),
    missed: report.missed,
    prev_boot: report.prev?.boot ?? '',
    prev_seq: report.prev?.seq ?? 0,
    held_boot: report.held.boot,
    held_seq: report.held.seq,
    score,
    shown,
    connectivity: components.connectivity ?? null,
    reliability: components.reliability ?? null,
    security: components.security ?? null,
    performance: components.performance ?? null,
    penalty_component: losses.map((loss) => loss.component),
    penalty_id: losses.map((loss) => loss.id),
    penalty_subject: losses.map((loss) => loss.subject),
    penalty_points: losses.map((loss) => loss.points),
    ...hostColumns(report),
    ...workloadColumns(report),
    ...linkColumns(links),
    payload: json,
  };
}

function hostColumns({ host }: Report) {
  const disk = host === undefined ? null : fullest(host.disks);
  const pressure = host?.pressure;
  return {
    cpu_bp: host === undefined ? null : basisPoints(host.cpu.utilization),
    memory_bp: host === undefined ? null : basisPoints(host.memory.utilization),
    swap_bp: host === undefined ? null : basisPoints(host.swap.utilization),
    disk_bp: disk === null ? null : basisPoints(disk),
    pressure_cpu_bp: pressure === undefined ? null : basisPoints(pressure.cpuSome),
    pressure_memory_bp: pressure === undefined ? null : basisPoints(pressure.memorySome),
    pressure_io_bp: pressure === undefined ? null : basisPoints(pressure.ioSome),
    uptime_s: host === undefined ? 0 : uint32(host.uptimeS),
    net_rx_bytes: host === undefined ? 0 : total(host.interfaces.map((one) => one.rxBytes)),
    net_tx_bytes: host === undefined ? 0 : total(host.interfaces.map((one) => one.txBytes)),
  };
}

function workloadColumns({ workloads }: Report) {
  const count = (value: number | undefined) => (value === undefined ? null : int32(value));
  return {
    workloads_total: count(workloads?.total),
    workloads_down: count(workloads?.down),
    workloads_in_progress: count(workloads?.inProgress),
    workloads_crash_looping: count(workloads?.crashLooping),
    workloads_waiting_for_image: count(workloads?.waitingForImage),
    workloads_out_of_memory: count(workloads?.outOfMemory),
    workloads_unschedulable: count(workloads?.unschedulable),
  };
}

function linkColumns(links: readonly Link[]) {
  return {
    link_name: links.map((link) => link.name),
    link_up: links.map((link) => (link.up ? 1 : 0)),
    link_epoch: links.map((link) => link.epoch),
    link_requests: links.map((link) => link.requests),
    link_losses: links.map((link) => link.losses),
    link_errors: links.map((link) => link.errors),
    link_p50_us: links.map((link) => microseconds(link.latency?.p50Ms)),
    link_p90_us: links.map((link) => microseconds(link.latency?.p90Ms)),
    link_p99_us: links.map((link) => microseconds(link.latency?.p99Ms)),
  };
}

function basisPoints(ratio: number): number {
  return Math.round(ratio * 10_000);
}

function microseconds(ms: number | undefined): number {
  return ms === undefined ? 0 : uint32(ms * 1000);
}

function uint32(value: number): number {
  return Math.min(UINT32, Math.max(0, Math.round(value)));
}

function int32(value: number): number {
  return Math.min(INT32, Math.max(-INT32, Math.round(value)));
}

function total(values: readonly number[]): number {
  return Math.min(
    Number.MAX_SAFE_INTEGER,
    values.reduce((sum, value) => sum + value, 0),
  );
}
