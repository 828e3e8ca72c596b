import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { openStore } from '../adapters/clickhouse/open.ts';
import type { RolloutDetail } from '../core/model/policy-view.ts';
import { Hub } from '../test/parts/hub.ts';
import { NODE, ROOT, type Running, run as spawn, until } from '../test/parts/process.ts';
import { cpuSecondsOf } from './process-figures.ts';
import { type BenchResult, median, silent } from './result.ts';

/*
 * Promotions of a policy to a fleet of simulated sites, in a process of its own, by a hub as users run it. Each site runs
 * the agent of hosts; only its dataplane is modelled. A few sites are the first stage; all the others are the second one,
 * to which each generation is promoted at once (`maxConcurrency: 100%`).
 *
 * Measured is from when control decided on the promotion (the stage's `startedAtMs`, before the target is signed and
 * written) to `appliedAtMs` as each site reports it. Both ends read one machine's clock: what the site added as the
 * hub's offset is taken off.
 */

const FLEETS = [310, 3100];
const ROUNDS = 3;
const INTERVAL = '10s';
const INTERVAL_MS = 10_000;
const CANARY = 'env=test,region=eu-west';
const NAME = 'payments';
const WARM_UP_MS = 20_000;

type Promotion = {
  generation: number;
  decidedAtMs: number;
  sites: number;
  targets: number;
  hubS: number;
  fleetS: number;
};
type Latency = {
  sites: number;
  p50Ms: number;
  p99Ms: number;
  worstMs: number;
  deliveredP99Ms: number;
  confirmedP99Ms: number;
};
type Measured = {
  fleet: number;
  sites: number;
  latencies: Latency[];
  promotions: Promotion[];
  sentWithinS: number;
};

export async function run(): Promise<BenchResult> {
  const measured: Measured[] = [];
  for (const fleet of FLEETS) measured.push(await measure(fleet));
  return result(measured);
}

async function measure(sites: number): Promise<Measured> {
  const hub = new Hub({ env: { PLUMBLINE_LOG_LEVEL: 'warn' } });
  let fleet: Running | null = null;
  try {
    await hub.start();
    fleet = simulate(hub, sites);
    const said = fleet;
    await until(
      'every site reports',
      async () => (await heard(hub)) === sites,
      300_000,
      () => `${said.output().slice(-500)}\n${hub.output().slice(-2000)}`,
    );
    await sleep(WARM_UP_MS);
    await put(hub, '/api/v1/policies/VirtualSite/canary', virtualSite('canary', CANARY));
    await put(hub, '/api/v1/policies/VirtualSite/fleet', virtualSite('fleet', 'simulated'));
    const promotions: Promotion[] = [];
    for (let generation = 1; generation <= ROUNDS; generation++)
      promotions.push(await promote(hub, said, generation));
    const sentWithinS = await sendingOf(hub);
    await sleep(INTERVAL_MS);
    await fleet.kill('SIGINT');
    await hub.halt();
    const latencies: Latency[] = [];
    for (const promotion of promotions) latencies.push(await latencyOf(hub.dataDir, promotion));
    return { fleet: sites, sites: promotions[0]?.sites ?? 0, latencies, promotions, sentWithinS };
  } finally {
    await fleet?.kill('SIGKILL');
    await hub.remove();
  }
}

function simulate(hub: Hub, sites: number): Running {
  const options = [
    '--sites',
    String(sites),
    '--interval',
    INTERVAL,
    '--incidents',
    'none',
    '--workload',
    'checkout',
  ];
  return spawn([NODE, '--disable-warning=ExperimentalWarning', `${ROOT}main.ts`, 'simulate', ...options], {
    env: { PLUMBLINE_URL: hub.url, PLUMBLINE_TOKEN: hub.token },
  });
}

async function heard(hub: Hub): Promise<number> {
  const { body } = await hub.call('GET', '/metrics');
  return Number(/^plumbline_aggregator_sites (\d+)/m.exec(String(body))?.[1] ?? 0);
}

/** By its own metric: within which time the hub had sent 99% of all targets, from their signing. */
async function sendingOf(hub: Hub): Promise<number> {
  const { body } = await hub.call('GET', '/metrics');
  const buckets = [
    ...String(body).matchAll(/^plumbline_gateway_target_delay_seconds_bucket{le="(.+)"} (\d+)/gm),
  ];
  const all = Number(buckets.at(-1)?.[2] ?? 0);
  return Number(buckets.find(([, , count]) => Number(count) >= 0.99 * all)?.[1] ?? Number.NaN);
}

function virtualSite(name: string, selector: string) {
  return { apiVersion: 'plumbline.io/v1', kind: 'VirtualSite', metadata: { name }, spec: { selector } };
}

/** Each generation adds another address that nothing uses, so that it is a change at every site. */
function policy(generation: number) {
  const verify = { soak: '0s' };
  return {
    apiVersion: 'plumbline.io/v1',
    kind: 'Allowlist',
    metadata: { name: NAME },
    spec: {
      workloads: { matchLabels: { app: 'checkout' } },
      egress: [
        {
          name: 'shop',
          to: [
            'https://api.payments.example',
            'tcp://db.shop.example:5432',
            'https://registry.example',
            { cidr: `203.0.113.${generation}/32`, ports: ['443/TCP'] },
          ],
        },
      ],
    },
    rollout: {
      stages: [
        { virtualSite: 'canary', verify },
        { virtualSite: 'fleet', verify, maxConcurrency: '100%' },
      ],
    },
  };
}

async function put(hub: Hub, path: string, body: unknown): Promise<void> {
  const { status, body: answer } = await hub.call('PUT', path, body);
  if (status >= 300) throw new Error(`PUT ${path}: ${status} ${JSON.stringify(answer)}`);
}

const rolloutOf = (hub: Hub) => hub.get<RolloutDetail>(`/api/v1/rollouts/Allowlist/${NAME}`);

/** Takes a generation through the first stage, promotes it, and waits until all sites of the second say that they have it. */
async function promote(hub: Hub, fleet: Running, generation: number): Promise<Promotion> {
  await put(hub, `/api/v1/policies/Allowlist/${NAME}`, policy(generation));
  let last: RolloutDetail | null = null;
  const said = () => JSON.stringify(last?.rollout ?? null).slice(0, 3000) + hub.output().slice(-2000);
  const look = async (isReached: (detail: RolloutDetail) => boolean) => {
    await sleep(500);
    last = await rolloutOf(hub);
    return isReached(last) ? last : null;
  };
  const before = await until(
    `generation ${generation} awaits promotion`,
    () => look(({ rollout }) => rollout.generation === generation && rollout.phase === 'awaiting-promotion'),
    120_000,
    said,
  );
  // What the hub and the fleet do anyway: a whole interval of it is taken off.
  const quiet = await spent(hub, fleet, () => sleep(INTERVAL_MS));
  let after = before;
  const busy = await spent(hub, fleet, async () => {
    const began = performance.now();
    const { status, body } = await hub.call('POST', `/api/v1/rollouts/Allowlist/${NAME}/promote`);
    if (status >= 300) throw new Error(`promote: ${status} ${JSON.stringify(body)}`);
    // Left alone for an interval, in which every site applies and reports.
    await sleep(Math.max(0, INTERVAL_MS - (performance.now() - began)));
  });
  after = await until(
    'every site of the stage has it applied',
    () =>
      look(({ rollout: { stages } }) => {
        const counts = stages[1]?.counts;
        return counts !== undefined && counts.sites > 0 && counts.applied === counts.sites;
      }),
    120_000,
    said,
  );
  const [first, second] = after.rollout.stages;
  return {
    generation,
    decidedAtMs: second?.startedAtMs ?? Number.NaN,
    sites: second?.counts.sites ?? 0,
    targets: (second?.version?.n ?? 0) - (first?.version?.n ?? 0),
    hubS: busy.hubS - quiet.hubS,
    fleetS: busy.fleetS - quiet.fleetS,
  };
}

async function spent(hub: Hub, fleet: Running, act: () => Promise<unknown>) {
  const before = [await cpuSecondsOf(hub.pid), await cpuSecondsOf(fleet.pid)] as const;
  await act();
  return {
    hubS: (await cpuSecondsOf(hub.pid)) - before[0],
    fleetS: (await cpuSecondsOf(fleet.pid)) - before[1],
  };
}

/** What the sites said, read from the stopped hub's store. */
async function latencyOf(dataDir: string, { generation, decidedAtMs }: Promotion): Promise<Latency> {
  const store = openStore({ path: join(dataDir, 'store') }, { logger: silent });
  try {
    await store.start();
    const rows = await store.query<{ applied: number; delivered: number; confirmed: number }>(
      `SELECT argMax(JSONExtractInt(detail, 'appliedAtMs'), seq) - any(ifNull(clock_offset_ms, 0)) AS applied,
         argMax(JSONExtractInt(detail, 'deliveredAtMs'), seq) - any(ifNull(clock_offset_ms, 0)) AS delivered,
         argMax(JSONExtractInt(detail, 'confirmedAtMs'), seq) - any(ifNull(clock_offset_ms, 0)) AS confirmed
       FROM plumbline.policy_report
       WHERE policy = {policy:String} AND generation = {generation:UInt64} AND phase = 'applied'
       GROUP BY site HAVING applied >= {since:Int64} - 50`,
      { policy: NAME, generation, since: decidedAtMs },
      'replay',
    );
    const at = (of: (row: (typeof rows)[number]) => number, q: number) => {
      const ages = rows.map((row) => Number(of(row)) - decidedAtMs).sort((a, b) => a - b);
      return ages[Math.min(ages.length - 1, Math.floor(ages.length * q))] ?? Number.NaN;
    };
    return {
      sites: rows.length,
      p50Ms: at(({ applied }) => applied, 0.5),
      p99Ms: at(({ applied }) => applied, 0.99),
      worstMs: at(({ applied }) => applied, 1),
      deliveredP99Ms: at(({ delivered }) => delivered, 0.99),
      confirmedP99Ms: at(({ confirmed }) => confirmed, 0.99),
    };
  } finally {
    await store.stop();
  }
}

function result(measured: readonly Measured[]): BenchResult {
  const of = (pick: (one: Measured) => string) => measured.map(pick);
  const mid = (one: Measured, pick: (latency: Latency) => number) => median(one.latencies.map(pick));
  const ms = (pick: (latency: Latency) => number) => of((one) => `${Math.round(mid(one, pick))} ms`);
  const cpu = (pick: (promotion: Promotion) => number) =>
    of((one) => `${median(one.promotions.map(pick)).toFixed(2)} s`);
  const [small, large] = measured.map((one) => mid(one, ({ p99Ms }) => p99Ms));
  const each = measured.map(
    (one) => `${one.sites} sites: ${one.latencies.map(({ p99Ms }) => `${Math.round(p99Ms)} ms`).join(', ')}`,
  );
  return {
    title: 'Promotion: control decides, every site applies',
    columns: ['what', ...of(({ sites }) => `${sites} sites`)],
    rows: [
      ['decided to applied, p50', ...ms(({ p50Ms }) => p50Ms)],
      ['decided to applied, p99', ...ms(({ p99Ms }) => p99Ms)],
      ['decided to applied, the last site', ...ms(({ worstMs }) => worstMs)],
      ['decided to delivered, p99', ...ms(({ deliveredP99Ms }) => deliveredP99Ms)],
      ['decided to confirmed by a new connection, p99', ...ms(({ confirmedP99Ms }) => confirmedP99Ms)],
      ['signed to sent by the hub, p99', ...of(({ sentWithinS }) => `at most ${sentWithinS * 1000} ms`)],
      [
        'messages on table targets',
        ...of(({ promotions }) => promotions.map(({ targets }) => targets).join(', ')),
      ],
      ['CPU of the hub above its ordinary', ...cpu(({ hubS }) => hubS)],
      ['CPU of the simulator (all sites) above its ordinary', ...cpu(({ fleetS }) => fleetS)],
    ],
    notes: [
      `p99 grows ${((large ?? Number.NaN) / (small ?? Number.NaN)).toFixed(2)} times with ten times the sites (goal: at most twice).`,
      `Medians of ${ROUNDS} promotions; the p99 of each: ${each.join('; ')}.`,
      `All of the fleet's agents share one process and one core: ${of(({ sites, promotions }) => `${((median(promotions.map(({ fleetS }) => fleetS)) / sites) * 1e6).toFixed(0)} µs`).join(' and ')} of CPU a site for signature, plan, apply, read-back and confirmation.`,
      'Confirmation is a new connection of each site to the hub, which answers it.',
    ],
  };
}
