import { createHash } from 'node:crypto';
import type { ReportRow } from '../../core/model/rows.ts';

/** Rows as the aggregator makes them of a healthy host with three links, one report each; `payload` holds what they say. */
export type ReportOf = { site: string; boot?: string; seq: number; tsMs: number } & Partial<ReportRow>;

export const FIRST_BOOT = '00000001-0a1b2c3d';

/** Between 0 and 1, and another for each report and figure. */
const wave = (seq: number, figure: number) => (((seq * 2654435761 + figure * 40503) >>> 8) % 1000) / 1000;

function linksOf(seq: number) {
  const isUp = wave(seq, 3) > 0.02;
  return ['hub', 'payments', 'ledger'].map((name, index) => ({
    name,
    protocol: 'http',
    target: `https://${name}.example:443/healthz`,
    up: index === 0 || isUp,
    epoch: 1_700_000_000_000 + index,
    requests: seq * 10,
    losses: Math.floor(seq / 7) * index,
    errors: Math.floor(seq / 11) * index,
    window: { requests: 60, losses: 1, errors: 0 },
    latency: {
      p50Ms: 12.5 + wave(seq, 4 + index),
      p90Ms: 25.1 + wave(seq, 7 + index),
      p99Ms: 44.3 + wave(seq, 9 + index),
    },
    baselineMs: 12.1,
  }));
}

type Figures = { cpu: number; memory: number; disk: number; links: ReturnType<typeof linksOf> };

function payloadOf(site: string, boot: string, seq: number, tsMs: number, figures: Figures): Buffer {
  const { cpu, memory, disk, links } = figures;
  return Buffer.from(
    JSON.stringify({
      v: 1,
      site,
      boot,
      seq,
      prev: null,
      held: { boot, seq },
      dropped: [],
      missed: 0,
      ts: tsMs,
      clockOffsetMs: 3,
      monoMs: seq * 10_000,
      intervalMs: 10_000,
      kind: 'host',
      version: '0.1.0',
      discovered: { 'os.type': 'linux', 'host.arch': 'amd64', 'cloud.provider': 'none' },
      probes: [
        { name: 'host', ok: true, lost: 0 },
        { name: 'links', ok: true, lost: 0 },
      ],
      host: {
        cpu: { utilization: cpu / 10_000, count: 4, busyS: seq * 3.5, load1: 0.7 },
        memory: { totalBytes: 8e9, availableBytes: 4e9, utilization: memory / 10_000 },
        swap: { totalBytes: 0, usedBytes: 0, utilization: 0 },
        disks: [{ mount: '/', totalBytes: 2e11, availableBytes: 1e11, utilization: disk / 10_000 }],
        interfaces: [
          { name: 'eth0', up: true, rxBytes: seq * 10_007, txBytes: seq * 9_001, rxErrors: 0, txErrors: 0 },
        ],
        pressure: { cpuSome: 0.01, memorySome: 0, memoryFull: 0, ioSome: 0.002, ioFull: 0 },
        uptimeS: seq * 10,
      },
      links,
    }),
  );
}

/** What a host says nothing of. */
const NO_WORKLOADS = {
  workloads_total: null,
  workloads_down: null,
  workloads_in_progress: null,
  workloads_crash_looping: null,
  workloads_waiting_for_image: null,
  workloads_out_of_memory: null,
  workloads_unschedulable: null,
} as const;

function linkColumns(links: ReturnType<typeof linksOf>) {
  return {
    link_name: links.map((link) => link.name),
    link_up: links.map((link) => (link.up ? 1 : 0)),
    link_epoch: links.map((link) => link.epoch),
    link_requests: links.map((link) => link.requests),
    link_losses: links.map((link) => link.losses),
    link_errors: links.map((link) => link.errors),
    link_p50_us: links.map((link) => Math.round(link.latency.p50Ms * 1000)),
    link_p90_us: links.map((link) => Math.round(link.latency.p90Ms * 1000)),
    link_p99_us: links.map((link) => Math.round(link.latency.p99Ms * 1000)),
  };
}

export function reportRow({ boot = FIRST_BOOT, tsMs, ...rest }: ReportOf): ReportRow {
  const { site, seq } = rest;
  const cpu = Math.round(wave(seq, 1) * 10_000);
  const memory = Math.round(4000 + wave(seq, 2) * 3000);
  const disk = Math.round(5000 + (seq % 700));
  const links = linksOf(seq);
  const score = Math.round(60 + wave(seq, 11) * 40);
  const payload = payloadOf(site, boot, seq, tsMs, { cpu, memory, disk, links });
  return {
    boot,
    ts: tsMs,
    received_at: tsMs + 120,
    lane: 'live',
    kind: 'host',
    payload_hash: createHash('sha256').update(payload).digest('hex').slice(0, 32),
    interval_ms: 10_000,
    clock_offset_ms: 3,
    missed: 0,
    prev_boot: '',
    prev_seq: 0,
    held_boot: boot,
    held_seq: seq,
    score,
    shown: Math.min(score, 90),
    connectivity: 90,
    reliability: null,
    security: null,
    performance: score,
    penalty_component: ['connectivity', 'performance'],
    penalty_id: ['link-loss', 'cpu'],
    penalty_subject: ['payments', ''],
    penalty_points: [10, 2.5],
    cpu_bp: cpu,
    memory_bp: memory,
    swap_bp: null,
    disk_bp: disk,
    pressure_cpu_bp: 100,
    pressure_memory_bp: 0,
    pressure_io_bp: 20,
    uptime_s: seq * 10,
    net_rx_bytes: seq * 10_007,
    net_tx_bytes: seq * 9_001,
    ...NO_WORKLOADS,
    ...linkColumns(links),
    payload,
    ...rest,
  };
}

/** Ten minutes before the last midnight: recent, since the store forgets by the real clock, and in two partitions. */
export const START_MS = Math.floor(Date.now() / 86_400_000) * 86_400_000 - 600_000;
const SECOND_BOOT = '00000002-ffee0011';

/** Twelve sites over midnight, 200 reports each, with holes, a second boot in the middle of a minute, and one site alone. */
export function fleetRows(): ReportRow[] {
  const rows: ReportRow[] = [];
  for (let seq = 1; seq <= 200; seq++)
    for (let index = 0; index < 12; index++) {
      if ((seq + index) % 37 === 0) continue;
      const site = `site-${index}`;
      const tsMs = START_MS + seq * 10_000 + index;
      if (index === 3 && seq > 103)
        rows.push(
          reportRow({ site, boot: SECOND_BOOT, seq: seq - 103, tsMs, prev_boot: FIRST_BOOT, prev_seq: 103 }),
        );
      else rows.push(reportRow({ site, seq, tsMs }));
    }
  return rows;
}
