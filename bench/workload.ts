import { createSecretKey } from 'node:crypto';
import type { Link, Report } from '../core/model/report.ts';
import { resourceKey } from '../core/model/resource.ts';
import type { NewRecord } from '../core/ports/log.ts';
import type { TableEntry } from '../core/ports/table.ts';
import { deriveSiteKey, keyFrom, seal } from '../core/seal.ts';

export const MASTER = createSecretKey(Buffer.alloc(32, 7));

/** Reports as a fleet of hosts sends them, about 1.7 kB each; the same for the same arguments. */
export function reportsOf(round: number, sites: number, each: number, nowMs: number): Report[] {
  const boot = `${String(round).padStart(8, '0')}-0a1b2c3d`;
  return Array.from({ length: sites * each }, (_, i) => {
    const seq = 1 + Math.floor(i / sites);
    return report(siteName(i % sites), boot, seq, nowMs + seq);
  });
}

function siteName(index: number): string {
  return `site-${String(index).padStart(5, '0')}`;
}

export function registrations(sites: number): TableEntry[] {
  return Array.from({ length: sites }, (_, i) => {
    const name = siteName(i);
    const metadata = { name, uid: name, createdAtMs: 1, updatedAtMs: 1, revision: 1, updatedBy: 'bench' };
    const spec = { labels: {}, labelsSinceMs: 1, keyEpoch: 1 };
    const site = { apiVersion: 'plumbline.io/v1', kind: 'Site', metadata, spec };
    return { key: resourceKey('Site', name), value: Buffer.from(JSON.stringify(site)) };
  });
}

export function sealedRecords(reports: readonly Report[]): NewRecord[] {
  return reports.map((said) => {
    const key = keyFrom(deriveSiteKey(MASTER, said.site, 1));
    return { key: said.site, value: seal(key, Buffer.from(JSON.stringify(said))) };
  });
}

function report(site: string, boot: string, seq: number, ts: number): Report {
  const wave = (seed: number) => (((seq * 2654435761 + seed * 40503 + site.length) >>> 8) % 1000) / 1000;
  return {
    v: 1,
    site,
    boot,
    seq,
    prev: null,
    held: { boot, seq },
    dropped: [],
    missed: 0,
    ts,
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
      cpu: { utilization: wave(1), count: 4, busyS: seq * 3.5, load1: 0.7 },
      memory: { totalBytes: 8e9, availableBytes: 4e9, utilization: wave(2) },
      swap: { totalBytes: 0, usedBytes: 0, utilization: 0 },
      disks: [{ mount: '/', totalBytes: 2e11, availableBytes: 1e11, utilization: wave(3) }],
      interfaces: [
        { name: 'eth0', up: true, rxBytes: seq * 10_007, txBytes: seq * 9_001, rxErrors: 0, txErrors: 0 },
      ],
      pressure: { cpuSome: 0.01, memorySome: 0, memoryFull: 0, ioSome: 0.002, ioFull: 0 },
      uptimeS: seq * 10,
    },
    links: ['hub', 'payments', 'ledger'].map((name, i) => link(name, seq, wave(4 + i))),
  };
}

function link(name: string, seq: number, wave: number): Link {
  return {
    name,
    protocol: name === 'hub' ? 'hub' : 'http',
    target: `https://${name}.example:443/healthz`,
    up: true,
    epoch: 1_700_000_000_000,
    requests: seq * 10,
    losses: Math.floor(seq / 7),
    errors: 0,
    window: { requests: 60, losses: wave > 0.9 ? 3 : 0, errors: 0 },
    latency: { p50Ms: 12.5 + wave, p90Ms: 25.1 + wave, p99Ms: 44.3 + wave },
    baselineMs: 12.1,
  };
}
