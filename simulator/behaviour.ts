import type { Host, Link } from '../core/model/report.ts';
import type { Labels } from '../core/model/site.ts';
import type { Trouble } from './incidents.ts';
import { hashOf, normal, pick, type Random, randomFrom } from './prng.ts';

const DAY_MS = 86_400_000;
const GB = 1_000_000_000;
const PEERS = ['payments', 'ledger', 'registry', 'inventory', 'billing', 'search'];
const WINDOW_INTERVALS = 6;
const ATTEMPTS = 10;
const SYSTEMS: readonly [Labels, ...Labels[]] = [
  { os: 'ubuntu', 'os-version': '24.04', kernel: '6.8.0-simulated' },
  { os: 'debian', 'os-version': '12', kernel: '6.1.0-simulated' },
  { os: 'rocky', 'os-version': '9.4', kernel: '5.14.0-simulated' },
];

type Attempts = { requests: number; losses: number; errors: number };
type LinkState = {
  name: string;
  target: string;
  protocol: Link['protocol'];
  baseMs: number;
  spread: number;
  total: Attempts;
  recent: Attempts[];
};

/** What a simulated site would observe, step by step. The same seed, site and times give the same observations. */
export type Behaviour = {
  readonly discovered: Labels;
  step(nowMs: number, intervalMs: number, trouble: Trouble): { host: Host; links: Link[] };
};

export function createBehaviour(seed: number, site: string, epochMs: number): Behaviour {
  const random = randomFrom(`${seed}/${site}`);
  const failingLink = 1 + (hashOf(`${seed}/${site}/link`) % 2);
  const cpus = pick([2, 4, 8, 16], random);
  const machine = createMachine(random, cpus);
  const links = createLinks(random);
  return {
    discovered: discover(`${seed}/${site}`, cpus, random),
    step(nowMs, intervalMs, trouble) {
      return {
        host: machine(nowMs, intervalMs, trouble),
        links: links.map((link, i) =>
          observeLink(link, epochMs, random, i === failingLink ? trouble.link : undefined),
        ),
      };
    },
  };
}

/** Under the names that real hosts use, so that a selector means the same on both. Not in a cloud: no provider. */
function discover(identity: string, cpus: number, random: Random): Labels {
  const arch = pick(['amd64', 'amd64', 'arm64'], random);
  const provider = pick([null, 'aws', 'gcp', 'azure'], random);
  return {
    ...pick(SYSTEMS, randomFrom(`${identity}/system`)),
    arch,
    ...(provider !== null && { provider }),
    virtualization: provider === null ? 'none' : 'vm',
    cpus: String(cpus),
  };
}

/** CPU follows the day with a peak of its own, memory wanders around its level, disks fill slowly. */
function createMachine(random: Random, count: number) {
  const totalBytes = count * 4 * GB;
  const cpuBase = 0.1 + 0.35 * random();
  const swing = 0.05 + 0.2 * random();
  const peak = random();
  const memoryBase = 0.25 + 0.45 * random();
  const diskBase = 0.2 + 0.5 * random();
  const diskBytes = pick([100, 200, 500], random) * GB;
  let cpuNoise = 0;
  let memoryNoise = 0;
  let busyS = Math.floor(random() * 1e6);
  let uptimeS = Math.floor(random() * 1e6);
  let rxBytes = Math.floor(random() * 1e11);
  let txBytes = Math.floor(random() * 1e11);
  return (nowMs: number, intervalMs: number, trouble: Trouble): Host => {
    cpuNoise = 0.9 * cpuNoise + 0.02 * normal(random);
    memoryNoise = 0.98 * memoryNoise + 0.004 * normal(random);
    const day = Math.sin(2 * Math.PI * (nowMs / DAY_MS + peak));
    const utilization = ratio(cpuBase + swing * day + cpuNoise);
    const leaked = trouble.memory === undefined ? 0 : (0.98 - memoryBase) * Math.min(1, trouble.memory * 1.5);
    const memory = ratio(memoryBase + memoryNoise + leaked);
    const disk = ratio(diskBase + uptimeS / 1e9);
    const intervalS = intervalMs / 1000;
    busyS += utilization * count * intervalS;
    uptimeS += intervalS;
    rxBytes += Math.floor(intervalS * 20_000 * (0.5 + random()));
    txBytes += Math.floor(intervalS * 15_000 * (0.5 + random()));
    const stalled = memory > 0.9 ? ratio((memory - 0.9) * 3) : 0;
    return {
      cpu: { utilization, count, busyS: round(busyS, 10), load1: round(utilization * count, 100) },
      memory: { totalBytes, availableBytes: Math.round(totalBytes * (1 - memory)), utilization: memory },
      swap: { totalBytes: 0, usedBytes: 0, utilization: 0 },
      disks: [
        {
          mount: '/',
          totalBytes: diskBytes,
          availableBytes: Math.round(diskBytes * (1 - disk)),
          utilization: disk,
        },
      ],
      interfaces: [{ name: 'eth0', up: true, rxBytes, txBytes, rxErrors: 0, txErrors: 0 }],
      pressure: {
        cpuSome: ratio(utilization * utilization * 0.1),
        memorySome: stalled,
        memoryFull: round(stalled / 2, 10_000),
        ioSome: 0.002,
        ioFull: 0,
      },
      uptimeS,
    };
  };
}

function createLinks(random: Random): LinkState[] {
  const peers = PEERS.filter(() => random() < 0.4);
  const named = peers.length < 2 ? PEERS.slice(0, 2) : peers.slice(0, 4);
  const state = (name: string, protocol: Link['protocol'], target: string): LinkState => ({
    name,
    protocol,
    target,
    baseMs: 2 + 60 * random() ** 2,
    spread: 0.15 + 0.25 * random(),
    total: { requests: 0, losses: 0, errors: 0 },
    recent: [],
  });
  return [
    state('hub', 'hub', 'hub'),
    ...named.map((name, i) =>
      i % 2 === 0
        ? state(name, 'http', `https://${name}.example:443/healthz`)
        : state(name, 'tcp', `${name}.example:5432`),
    ),
  ];
}

/** An incident takes a third of the attempts, and in its middle all of them. */
function observeLink(link: LinkState, epoch: number, random: Random, failing: number | undefined): Link {
  const lossShare = failing === undefined ? 0.0005 : failing > 0.4 && failing < 0.6 ? 1 : 0.33;
  const now: Attempts = { requests: ATTEMPTS, losses: 0, errors: 0 };
  for (let i = 0; i < ATTEMPTS; i++) {
    if (random() < lossShare) now.losses++;
    else if (random() < 0.0005) now.errors++;
  }
  link.total = sum(link.total, now);
  link.recent = [...link.recent, now].slice(-WINDOW_INTERVALS);
  const window = link.recent.reduce(sum);
  const up = now.losses < now.requests;
  const p50Ms = link.baseMs * Math.exp(0.1 * normal(random)) * (failing === undefined ? 1 : 2);
  // Quantiles of a lognormal distribution with the link's spread.
  const latency = {
    p50Ms: round(p50Ms, 100),
    p90Ms: round(p50Ms * Math.exp(1.2816 * link.spread), 100),
    p99Ms: round(p50Ms * Math.exp(2.3263 * link.spread), 100),
  };
  return {
    name: link.name,
    protocol: link.protocol,
    target: link.target,
    up,
    epoch,
    ...link.total,
    window,
    ...(window.losses < window.requests && { latency }),
    baselineMs: round(link.baseMs, 100),
    ...(!up && { lastError: 'timed out (simulated)' }),
  };
}

function sum(a: Attempts, b: Attempts): Attempts {
  return { requests: a.requests + b.requests, losses: a.losses + b.losses, errors: a.errors + b.errors };
}

function ratio(value: number): number {
  return round(Math.min(0.995, Math.max(0.005, value)), 10_000);
}

function round(value: number, per: number): number {
  return Math.round(value * per) / per;
}
