import type { Lane } from '../core/channel.ts';
import type { NetworkInterface } from '../core/model/report.ts';
import type { ReportRow } from '../core/model/rows.ts';
import type { LogRecord } from '../core/ports/log.ts';
import { fullest } from '../core/score/next-state.ts';
import type { Judged } from './score.ts';

const UINT32 = 0xffff_ffff;
const INT32 = 0x7fff_ffff;

/** Fifth step: the row. Every figure is brought within its column, so that no report can make the store refuse a batch. */
export function reportRow({ report, record, json, hash, scored }: Judged): ReportRow {
  const { score, shown, components, losses } = scored;
  const { host, workloads, links = [] } = report;
  return {
    site: report.site,
    boot: report.boot,
    seq: report.seq,
    ts: report.ts,
    received_at: record.appendedAtMs,
    lane: laneOf(record),
    kind: report.kind,
    payload_hash: hash,
    interval_ms: report.intervalMs,
    clock_offset_ms: count(report.clockOffsetMs),
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
    cpu_bp: basisPoints(host?.cpu.utilization),
    memory_bp: basisPoints(host?.memory.utilization),
    swap_bp: basisPoints(host?.swap.utilization),
    disk_bp: basisPoints(host === undefined ? null : fullest(host.disks)),
    pressure_cpu_bp: basisPoints(host?.pressure?.cpuSome),
    pressure_memory_bp: basisPoints(host?.pressure?.memorySome),
    pressure_io_bp: basisPoints(host?.pressure?.ioSome),
    uptime_s: host === undefined ? 0 : uint32(host.uptimeS),
    net_rx_bytes: host === undefined ? 0 : total(host.interfaces, received),
    net_tx_bytes: host === undefined ? 0 : total(host.interfaces, sent),
    workloads_total: count(workloads?.total),
    workloads_down: count(workloads?.down),
    workloads_in_progress: count(workloads?.inProgress),
    workloads_crash_looping: count(workloads?.crashLooping),
    workloads_waiting_for_image: count(workloads?.waitingForImage),
    workloads_out_of_memory: count(workloads?.outOfMemory),
    workloads_unschedulable: count(workloads?.unschedulable),
    link_name: links.map((link) => link.name),
    link_up: links.map((link) => (link.up ? 1 : 0)),
    link_epoch: links.map((link) => link.epoch),
    link_requests: links.map((link) => link.requests),
    link_losses: links.map((link) => link.losses),
    link_errors: links.map((link) => link.errors),
    link_p50_us: links.map((link) => microseconds(link.latency?.p50Ms)),
    link_p90_us: links.map((link) => microseconds(link.latency?.p90Ms)),
    link_p99_us: links.map((link) => microseconds(link.latency?.p99Ms)),
    payload: json,
  };
}

export function laneOf(record: LogRecord): Lane {
  return record.topic === 'reports' ? 'live' : 'backfill';
}

function basisPoints(ratio: number | null | undefined): number | null {
  return ratio === null || ratio === undefined ? null : Math.round(ratio * 10_000);
}

function count(value: number | null | undefined): number | null {
  return value === null || value === undefined ? null : Math.min(INT32, Math.max(-INT32, Math.round(value)));
}

function microseconds(ms: number | undefined): number {
  return ms === undefined ? 0 : uint32(ms * 1000);
}

function uint32(value: number): number {
  return Math.min(UINT32, Math.max(0, Math.round(value)));
}

const received = (one: NetworkInterface) => one.rxBytes;
const sent = (one: NetworkInterface) => one.txBytes;

function total(interfaces: readonly NetworkInterface[], of: (one: NetworkInterface) => number): number {
  let sum = 0;
  for (const one of interfaces) sum += of(one);
  return Math.min(Number.MAX_SAFE_INTEGER, sum);
}
