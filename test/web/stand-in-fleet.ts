/*
 * Made-up sites for test/web/stand-in.ts, the same for the same seed.
 */
import type { FleetEvent } from '../../core/model/event.ts';
import type { Report } from '../../core/model/report.ts';
import { healthState } from '../../core/model/score.ts';
import type { Ledger, Rollup, SiteDetail, SiteHistory, SiteView } from '../../core/model/view.ts';

const CITIES = ['tokyo', 'osaka', 'berlin', 'paris', 'lyon', 'austin', 'dallas', 'lagos', 'mumbai', 'sydney'];
const COUNTRIES = ['jp', 'jp', 'de', 'fr', 'fr', 'us', 'us', 'ng', 'in', 'au'];
const ENVS = ['prod', 'prod', 'prod', 'test', 'dev'];
const REASONS = [
  'link payments-api: 31% of requests lost (19 of 61)',
  'link orders-db: p90 412 ms, budget 150 ms',
  'memory at 96% of 15.6 GiB',
  'disk /var/lib/containers at 93%',
  'link hub: down, connection refused',
];

function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

export function madeUpSites(amount: number, seed: number, nowMs: number): SiteView[] {
  const random = randomFrom(seed);
  return Array.from({ length: amount }, (_, index) => {
    const city = index % CITIES.length;
    const env = ENVS[Math.floor(random() * ENVS.length)] ?? 'dev';
    const draw = random();
    const silent = draw > 0.95;
    const score = silent ? null : draw < 0.04 ? 22 + Math.round(random() * 15) : draw < 0.14 ? 48 : 92;
    const health = healthState(score);
    const total = 3 + Math.floor(random() * 4);
    const trouble = health === 'red' || health === 'orange';
    return {
      id: `${COUNTRIES[city]}-${CITIES[city]}-${Math.floor(index / CITIES.length) + 1}`,
      kind: index % 3 === 0 ? 'host' : 'kubernetes',
      simulated: index % 4 === 0,
      state: health,
      freshness: silent ? 'silent' : 'heard',
      score,
      components: score === null ? {} : { connectivity: score, performance: 90 },
      reason: silent
        ? 'silent for 4 min 10 s'
        : trouble
          ? (REASONS[Math.floor(random() * REASONS.length)] ?? '')
          : '',
      labels: { env, country: COUNTRIES[city] ?? '', 'discovered/os': 'linux' },
      virtualSites: env === 'dev' ? [] : [env],
      cpu: silent ? null : random() ** 2,
      memory: silent ? null : 0.3 + random() * 0.65,
      disk: silent ? null : 0.2 + random() * 0.75,
      links: { total: silent ? 0 : total, up: silent ? 0 : trouble ? total - 1 : total },
      receivedAtMs: silent ? nowMs - 250_000 : nowMs - Math.floor(random() * 9000),
      intervalMs: 10_000,
      version: '0.1.0',
    };
  });
}

export function rollupOf(sites: readonly SiteView[]): Rollup {
  const byState = { green: 0, orange: 0, red: 0, unknown: 0 };
  for (const site of sites) byState[site.state] += 1;
  const scores = sites.flatMap((site) => (site.score === null ? [] : [site.score])).sort((a, b) => a - b);
  const at = (share: number) => scores[Math.floor(share * (scores.length - 1))] ?? 0;
  const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
  return {
    members: sites.length,
    byState,
    score:
      scores.length === 0
        ? null
        : { min: at(0), p10: at(0.1), p50: at(0.5), p90: at(0.9), mean: sum(scores) / scores.length },
    worst: [],
    cpuHistogram: Array.from({ length: 20 }, () => 0),
    memoryHistogram: Array.from({ length: 20 }, () => 0),
    linksUp: sum(sites.map((site) => site.links.up)),
    linksTotal: sum(sites.map((site) => site.links.total)),
  };
}

export function madeUpDetail(site: SiteView, nowMs: number): SiteDetail {
  const heard = site.receivedAtMs !== null && site.score !== null;
  return {
    site,
    explanation: {
      site: site.id,
      state: site.state,
      freshness: site.freshness,
      score: site.score,
      shown: site.score,
      components: heard
        ? [
            {
              component: 'connectivity',
              score: 55,
              weight: 3,
              penalties: [
                {
                  component: 'connectivity',
                  id: 'link-loss',
                  subject: 'payments-api',
                  points: 31.1,
                  observed: '31% of requests lost (19 of 61)',
                  sinceMs: nowMs - 192_000,
                },
                {
                  component: 'connectivity',
                  id: 'link-latency',
                  subject: 'orders-db',
                  points: 13.9,
                  observed: 'p90 412 ms, budget 150 ms',
                  sinceMs: nowMs - 3_900_000,
                },
              ],
            },
            { component: 'performance', score: 100, weight: 2, penalties: [] },
          ]
        : [],
      arithmetic: heard ? '0.8 × 55 (connectivity, the lowest) + 0.2 × 73 (weighted mean) = 59' : '',
      caps: [],
      observedAtMs: site.receivedAtMs,
    },
    report: heard ? madeUpReport(site, nowMs) : null,
    ledger: heard ? ledgerOf(site) : null,
    joinedAtMs: nowMs - 86_400_000,
    createdAtMs: nowMs - 86_500_000,
  };
}

function ledgerOf(site: SiteView): Ledger {
  return {
    site: site.id,
    boots: 3,
    sent: 25_934,
    stored: 25_890,
    quarantined: 2,
    pending: 0,
    gaps: 42,
    lost: 0,
    missing: 0,
    missingRanges: [],
  };
}

function madeUpReport(site: SiteView, nowMs: number): Report {
  const link = (
    name: string,
    lost: number,
    p50Ms: number,
    budgetMs?: number,
  ): NonNullable<Report['links']>[0] => ({
    name,
    protocol: name === 'hub' ? 'hub' : 'http',
    target: `https://${name}.example:443`,
    up: true,
    epoch: 1,
    requests: 48_120 + lost,
    losses: lost * 40,
    errors: lost,
    window: { requests: 61, losses: lost, errors: 0 },
    latency: { p50Ms, p90Ms: p50Ms * 2.4, p99Ms: p50Ms * 5.1 },
    baselineMs: p50Ms * 0.9,
    ...(budgetMs !== undefined && { budgetMs }),
    ...(lost > 0 && { lastError: 'connect ETIMEDOUT 203.0.113.7:443' }),
  });
  const GIB = 1024 ** 3;
  return {
    v: 1,
    site: site.id,
    boot: '00000003-9f2ac41b',
    seq: 8_611,
    prev: { boot: '00000002-11aa22bb', seq: 9_120 },
    held: { boot: '00000003-9f2ac41b', seq: 8_611 },
    dropped: [],
    missed: 0,
    ts: nowMs,
    clockOffsetMs: -14,
    monoMs: 86_110_000,
    intervalMs: 10_000,
    kind: 'host',
    version: '0.1.0',
    discovered: { os: 'linux' },
    probes: [
      { name: 'host', ok: true, lost: 0 },
      { name: 'links', ok: true, lost: 0 },
    ],
    host: {
      cpu: { utilization: site.cpu ?? 0, count: 8, busyS: 12_000, load1: 1.84 },
      memory: { totalBytes: 15.6 * GIB, availableBytes: 4.1 * GIB, utilization: site.memory ?? 0 },
      swap: { totalBytes: 2 * GIB, usedBytes: 0.1 * GIB, utilization: 0.05 },
      disks: [
        { mount: '/', totalBytes: 200 * GIB, availableBytes: 64 * GIB, utilization: site.disk ?? 0 },
        { mount: '/var/lib/containers', totalBytes: 500 * GIB, availableBytes: 35 * GIB, utilization: 0.93 },
      ],
      interfaces: [
        { name: 'eth0', up: true, rxBytes: 812 * GIB, txBytes: 96.4 * GIB, rxErrors: 0, txErrors: 0 },
        { name: 'wg0', up: false, rxBytes: 0, txBytes: 0, rxErrors: 3, txErrors: 0 },
      ],
      pressure: { cpuSome: 0.07, memorySome: 0.002, memoryFull: 0, ioSome: 0.21, ioFull: 0.16 },
      uptimeS: 1_037_000,
    },
    links: [link('hub', 0, 3.4), link('payments-api', 19, 41.2), link('orders-db', 0, 171.6, 150)],
  };
}

export function madeUpHistory(site: string, fromMs: number, toMs: number, stepMs: number): SiteHistory {
  const random = randomFrom(7);
  const points: SiteHistory['points'] = [];
  const first = Math.ceil(fromMs / stepMs) * stepMs;
  for (let atMs = first; atMs < toMs; atMs += stepMs) {
    const share = (atMs - fromMs) / (toMs - fromMs);
    if (share > 0.55 && share < 0.62) continue;
    points.push({
      atMs,
      score: Math.round(share > 0.8 ? 59 : 90 + random() * 6),
      cpu: 0.2 + 0.15 * Math.sin(share * 9) + random() * 0.1,
      memory: 0.45 + share * 0.3,
    });
  }
  return { site, stepMs, points };
}

export function madeUpEvents(site: string | null, nowMs: number): FleetEvent[] {
  const of = site ?? 'jp-tokyo-1';
  const event = (
    minutes: number,
    kind: FleetEvent['kind'],
    severity: FleetEvent['severity'],
    message: string,
    by = '',
  ): FleetEvent => ({
    id: `${kind}-${minutes}`,
    atMs: nowMs - minutes * 60_000,
    kind,
    severity,
    site: of,
    virtualSite: '',
    by,
    message,
  });
  return [
    event(3, 'site.state', 'warning', 'from green to orange: link payments-api lost 31% of requests'),
    event(41, 'site.gap', 'warning', 'dropped 42 reports of boot 2 (9,001 to 9,042): its spool was full'),
    event(44, 'site.recovered', 'info', 'heard again after 2 h 5 min'),
    event(170, 'site.silent', 'critical', 'silent: its newest report is older than 30 s'),
    event(1441, 'site.joined', 'info', 'joined', 'token admin'),
    event(1442, 'site.added', 'info', 'added with env=prod', 'admin'),
  ];
}
