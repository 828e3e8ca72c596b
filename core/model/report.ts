import Type, { type Static } from 'typebox';
import { PolicyReport } from './policy-report.ts';
import { BootId, Labels, SiteId, SiteKind } from './site.ts';

/** Largest sealed report (MAC and JSON) that any part of the pipeline accepts, in bytes. */
export const MAX_REPORT_BYTES = 256 * 1024;

const Ratio = Type.Number({ minimum: 0, maximum: 1 });
const Count = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });
const Name = Type.String({ minLength: 1, maxLength: 63 });
const EpochMs = Type.Integer({ minimum: 0, maximum: 8.64e15 });
const Text = Type.String({ maxLength: 200 });

/** One place in a site's own numbering: a boot and a sequence number in it (1 is the first). */
export const Position = Type.Object({ boot: BootId, seq: Count });
export type Position = Static<typeof Position>;

/** Sequence numbers of one boot, both ends included, that the spool's bound made the site forget. */
export const DroppedRange = Type.Object({ boot: BootId, from: Count, to: Count });
export type DroppedRange = Static<typeof DroppedRange>;

/** How a declared probe did in this interval. `lost` counts observations it knows it missed. */
export const ProbeStatus = Type.Object({
  name: Name,
  ok: Type.Boolean(),
  lost: Count,
  error: Type.Optional(Text),
});
export type ProbeStatus = Static<typeof ProbeStatus>;

export const Disk = Type.Object({
  mount: Type.String({ maxLength: 255 }),
  totalBytes: Count,
  availableBytes: Count,
  utilization: Ratio,
  inodesUtilization: Type.Optional(Ratio),
});
export type Disk = Static<typeof Disk>;

/** Totals since the kernel started; `epoch` changes when they start again from zero. */
export const NetworkInterface = Type.Object({
  name: Type.String({ maxLength: 63 }),
  up: Type.Boolean(),
  rxBytes: Count,
  txBytes: Count,
  rxErrors: Count,
  txErrors: Count,
});
export type NetworkInterface = Static<typeof NetworkInterface>;

/** Pressure stall information, share of the last 10 s (https://docs.kernel.org/accounting/psi.html). */
export const Pressure = Type.Object({
  cpuSome: Ratio,
  memorySome: Ratio,
  memoryFull: Ratio,
  ioSome: Ratio,
  ioFull: Ratio,
});
export type Pressure = Static<typeof Pressure>;

export const Host = Type.Object({
  cpu: Type.Object({
    /** Share of all logical CPUs that was busy since the previous report. */
    utilization: Ratio,
    count: Count,
    /** Cumulative busy seconds, all CPUs, since the kernel started. */
    busyS: Type.Number({ minimum: 0 }),
    load1: Type.Number({ minimum: 0 }),
  }),
  memory: Type.Object({ totalBytes: Count, availableBytes: Count, utilization: Ratio }),
  swap: Type.Object({ totalBytes: Count, usedBytes: Count, utilization: Ratio }),
  disks: Type.Array(Disk, { maxItems: 16 }),
  interfaces: Type.Array(NetworkInterface, { maxItems: 16 }),
  /** Absent where the kernel keeps no pressure figures. */
  pressure: Type.Optional(Pressure),
  uptimeS: Type.Number({ minimum: 0 }),
});
export type Host = Static<typeof Host>;

/**
 * A path from the site to a named peer. Counters are cumulative in `epoch` (which changes when the collector
 * starts them again from zero), so a lost or repeated report never distorts a total.
 */
export const Link = Type.Object({
  name: Name,
  /** `hub` is the path to the hub itself. */
  protocol: Type.Union([Type.Literal('tcp'), Type.Literal('http'), Type.Literal('hub')]),
  target: Type.String({ maxLength: 255 }),
  /** False when no attempt of the interval got an answer. A peer that answers with errors is up, and its errors are counted. */
  up: Type.Boolean(),
  epoch: Count,
  requests: Count,
  /** Attempts that got no answer (refused, timed out, unreachable). A part of `requests`. */
  losses: Count,
  /** Answers that were failures (HTTP 5xx, a TLS or protocol error). A part of `requests`, apart from `losses`. */
  errors: Count,
  /** The same three over the sliding window that is scored (the newest `windowRequests` attempts, 60 s at most). */
  window: Type.Object({ requests: Count, losses: Count, errors: Count }),
  /** Round-trip quantiles of the window in milliseconds; absent when nothing answered. */
  latency: Type.Optional(Type.Object({ p50Ms: Type.Number(), p90Ms: Type.Number(), p99Ms: Type.Number() })),
  /** Usual p50 that the collector learned and keeps over restarts; absent until learned. */
  baselineMs: Type.Optional(Type.Number({ minimum: 0 })),
  /** What the site's owner declared as acceptable p90. */
  budgetMs: Type.Optional(Type.Number({ exclusiveMinimum: 0 })),
  lastError: Type.Optional(Text),
});
export type Link = Static<typeof Link>;

/** Nodes of a cluster. Pools scaled to zero on purpose count in neither figure. */
export const Nodes = Type.Object({ total: Count, ready: Count, underPressure: Count });
export type Nodes = Static<typeof Nodes>;

/** Workload instances (pods, on Kubernetes) by what is wrong with them. `down` says none of its instances runs. */
export const Workloads = Type.Object({
  total: Count,
  down: Count,
  crashLooping: Count,
  waitingForImage: Count,
  outOfMemory: Count,
  unschedulable: Count,
  /** Instances that are being rolled out, no fault by itself. */
  inProgress: Count,
  criticalDown: Type.Array(Name, { maxItems: 32 }),
});
export type Workloads = Static<typeof Workloads>;

export const Security = Type.Object({
  drifted: Count,
  rolloutInProgress: Type.Boolean(),
  refusedGenerations: Count,
  unexpectedDenies: Count,
  /** Days until the first of the site's credentials expires; absent when none does. */
  credentialsExpireInDays: Type.Optional(Type.Number()),
  findings: Count,
});
export type Security = Static<typeof Security>;

/**
 * What a site says once per interval. Identity is (site, boot, seq). Sent as UTF-8 JSON behind a MAC over these
 * very bytes (see core/seal.ts). Unknown fields are ignored, so that a newer collector can talk to an older hub.
 */
export const Report = Type.Object({
  v: Type.Literal(1),
  site: SiteId,
  boot: BootId,
  seq: Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER }),
  /** The last sequence number of the boot before this one; null on a site's first boot. */
  prev: Type.Union([Position, Type.Null()]),
  /** The oldest report that the spool still held when this one was made (this one, when it held no other). */
  held: Position,
  /** What the spool's bound dropped, repeated until a report that says so was acknowledged; newest 32 ranges. */
  dropped: Type.Array(DroppedRange, { maxItems: 32 }),
  /** Collection ticks among the last 30 that made no report. */
  missed: Type.Integer({ minimum: 0, maximum: 30 }),
  /** When it was made, by the hub's clock as the site knows it. */
  ts: EpochMs,
  /** Hub's clock less the site's, in ms, already contained in `ts`; null before the site has ever spoken to its hub. */
  clockOffsetMs: Type.Union([Type.Integer(), Type.Null()]),
  /** Milliseconds since the boot began, on a clock that never steps. */
  monoMs: Count,
  intervalMs: Type.Integer({ minimum: 100, maximum: 3_600_000 }),
  kind: SiteKind,
  version: Type.String({ maxLength: 32 }),
  /** Labels that the site found about itself, without the `discovered/` prefix; for views only. */
  discovered: Labels,
  /** Labels that the site's owner proposes; for views only, under `proposed/`. */
  proposed: Type.Optional(Labels),
  probes: Type.Array(ProbeStatus, { maxItems: 32 }),
  host: Type.Optional(Host),
  links: Type.Optional(Type.Array(Link, { maxItems: 64 })),
  nodes: Type.Optional(Nodes),
  workloads: Type.Optional(Workloads),
  security: Type.Optional(Security),
  policy: Type.Optional(PolicyReport),
});
export type Report = Static<typeof Report>;
