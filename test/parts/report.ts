import type { Link, Report } from '../../core/model/report.ts';

export const FIRST_BOOT = '00000001-0a1b2c3d';

/** A link of a report on which all is well. */
export function link(part: Partial<Link> = {}): Link {
  return {
    name: 'payments',
    protocol: 'http',
    target: 'https://payments.example:443/healthz',
    up: true,
    epoch: 1_700_000_000_000,
    requests: 600,
    losses: 3,
    errors: 0,
    window: { requests: 60, losses: 0, errors: 0 },
    latency: { p50Ms: 12.5, p90Ms: 25.1, p99Ms: 44.3 },
    baselineMs: 12.1,
    ...part,
  };
}

/** A report of a healthy host with its hub and two peers, about 1.5 kB of JSON. */
export function report(part: Partial<Report> = {}): Report {
  const { boot = FIRST_BOOT, seq = 1 } = part;
  return {
    v: 1,
    site: 'jp-tokyo-1',
    boot,
    seq,
    prev: null,
    held: { boot, seq },
    dropped: [],
    missed: 0,
    ts: 1_760_000_000_000 + seq * 10_000,
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
      cpu: { utilization: 0.31, count: 4, busyS: seq * 3.5, load1: 0.7 },
      memory: { totalBytes: 8e9, availableBytes: 4e9, utilization: 0.5 },
      swap: { totalBytes: 0, usedBytes: 0, utilization: 0 },
      disks: [{ mount: '/', totalBytes: 2e11, availableBytes: 1e11, utilization: 0.5 }],
      interfaces: [
        { name: 'eth0', up: true, rxBytes: seq * 10_007, txBytes: seq * 9_001, rxErrors: 0, txErrors: 0 },
      ],
      pressure: { cpuSome: 0.01, memorySome: 0, memoryFull: 0, ioSome: 0.002, ioFull: 0 },
      uptimeS: seq * 10,
    },
    links: [
      link({ name: 'hub', protocol: 'hub', target: 'hub.example:7117' }),
      link(),
      link({ name: 'ledger', protocol: 'tcp', target: 'ledger.example:5432' }),
    ],
    ...part,
  };
}
