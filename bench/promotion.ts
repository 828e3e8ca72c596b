import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { openStore } from '../adapters/clickhouse/open.ts';
import type { RolloutDetail } from '../core/model/policy-view.ts';
import { Hub } from '../test/parts/hub.ts';
import { NODE, ROOT, type Running, run as spawn, until } from '../test/parts/process.ts';
import { cpuSecondsOf } from './process-figures.ts';
import { type BenchResult, median, silent } from './result.ts';

/*
 * Promotions of a policy to a fleet of simulated sites, in a process of its own for each core but the hub's, by a hub as users
 * run it. Each site runs the agent of hosts; only its dataplane is modelled. A few sites are the first stage; all the others are the second one,
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
/** One core is left to the hub: sites that take it too make it late with what they wait for. */
const PROCESSES = Math.max(1, availableParallelism() - 1);
const WARM_UP_MS = 20_000;

type Promotion = {
  generation: number;
  decidedAtMs: number;
  sites: number;
  targets: number;
  sending: Sending;
  hubS: number;
  fleetS: number;
};
/** By the hub's own metric, from the signing of a target until it has left the process, a site. */
type Sending = { sites: number; meanMs: number; allWithinMs: number };
type Latency = {
  sites: number;
  firstMs: number;
  p50Ms: number;
  p99Ms: number;
  worstMs: number;
  deliveredP99Ms: number;
  confirmedP99Ms: number;
};
type Measured = { fleet: number; sites: number; latencies: Latency[]; promotions: Promotion[] };

export async function run(): Promise<BenchResult> {
  const measured: Measured[] = [];
  for (const fleet of FLEETS) measured.push(await measure(fleet));
  return result(measured);
}

async function measure(sites: number): Promise<Measured> {
  const hub = new Hub({ env: { PLUMBLINE_LOG_LEVEL: 'warn' } });
  let fleet: Running[] = [];
  try {
    await hub.start();
    fleet = simulate(hub, sites);
    await until(
      'every site reports',
      async () => (await heard(hub)) === sites,
      300_000,
      () => `${fleet.map((one) => one.output().slice(-500)).join('\n')}\n${hub.output().slice(-2000)}`,
    );
    await sleep(WARM_UP_MS);
    await put(hub, '/api/v1/policies/VirtualSite/canary', virtualSite('canary', CANARY));
    await put(hub, '/api/v1/policies/VirtualSite/fleet', virtualSite('fleet', 'simulated'));
    const promotions: Promotion[] = [];
    for (let generation = 1; generation <= ROUNDS; generation++)
      promotions.push(await promote(hub, fleet, generation));
    await sleep(INTERVAL_MS);
    await Promise.all(fleet.map((one) => one.kill('SIGINT')));
    await hub.halt();
    const latencies: Latency[] = [];
    for (const promotion of promotions) latencies.push(await latencyOf(hub.dataDir, promotion));
    return { fleet: sites, sites: promotions[0]?.sites ?? 0, latencies, promotions };
  } finally {
    await Promise.all(fleet.map((one) => one.kill('SIGKILL')));
    await hub.remove();
  }
}

function simulate(hub: Hub, sites: number): Running[] {
  return Array.from({ length: PROCESSES }, (_, i) => {
    const share = Math.floor(sites / PROCESSES) + (i < sites % PROCESSES ? 1 : 0);
    const options = ['--sites', String(share), '--seed', String(i + 1), '--interval', INTERVAL];
    const simulator = [
      `${ROOT}main.ts`,
      'simulate',
      ...options,
      '--incidents',
      'none',
      '--workload',
      'checkout',
    ];
    return spawn([NODE, '--disable-warning=ExperimentalWarning', ...simulator], {
      env: { PLUMBLINE_URL: hub.url, PLUMBLINE_TOKEN: hub.token },
    });
  });
}

async function heard(hub: Hub): Promise<number> {
  const { body } = await hub.call('GET', '/metrics');
  return Number(/^plumbline_aggregator_sites (\d+)/m.exec(String(body))?.[1] ?? 0);
}

/** How many targets were sent so far within which time, and the sum of these times. */
async function sentBy(hub: Hub): Promise<{ counts: Map<number, number>; sites: number; sumS: number }> {
  const name = 'plumbline_gateway_target_delay_seconds';
  const text = String((await hub.call('GET', '/metrics')).body);
  const figure = (suffix: string) =>
    Number(new RegExp(`^${name}_${suffix} (\\S+)`, 'm').exec(text)?.[1] ?? 0);
  const buckets = [...text.matchAll(new RegExp(`^${name}_bucket{le="([^"]+)"} (\\d+)`, 'gm'))];
  return {
    counts: new Map(
      buckets.map(([, le, count]) => [le === '+Inf' ? Number.POSITIVE_INFINITY : Number(le), Number(count)]),
    ),
    sites: figure('count'),
    sumS: figure('sum'),
  };
}

/** Of what was sent in between. */
function sendingOf(before: Awaited<ReturnType<typeof sentBy>>, after: typeof before): Sending {
  const sites = after.sites - before.sites;
  const within = [...after.counts].find(([le, count]) => count - (before.counts.get(le) ?? 0) === sites);
  return {
    sites,
    meanMs: ((after.sumS - before.sumS) / sites) * 1000,
    allWithinMs: (within?.[0] ?? Number.NaN) * 1000,
  };
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
async function promote(hub: Hub, fleet: readonly Running[], generation: number): Promise<Promotion> {
  await put(hub, `/api/v1/policies/Allowlist/${NAME}`, policy(generation));
  let last: RolloutDetail | null = null;
  const said = () => JSON.stringify(last?.rollout ?? null).slice(0, 3000) + hub.output().slice(-2000);
  const look = async (isReached: (detail: RolloutDetail) => boolean) => {
    await sleep(500);
    last = await rolloutOf(hub);
    return isReached(last) ? last : null;
  };
  await until(
    `generation ${generation} awaits promotion`,
    () => look(({ rollout }) => rollout.generation === generation && rollout.phase === 'awaiting-promotion'),
    120_000,
    said,
  );
  // What the hub and the fleet do anyway: a whole interval of it is taken off.
  const quiet = await spent(hub, fleet, () => sleep(INTERVAL_MS));
  const unsent = await sentBy(hub);
  const busy = await spent(hub, fleet, async () => {
    const began = performance.now();
    const { status, body } = await hub.call('POST', `/api/v1/rollouts/Allowlist/${NAME}/promote`);
    if (status >= 300) throw new Error(`promote: ${status} ${JSON.stringify(body)}`);
    // Left alone for an interval, in which every site applies and reports.
    await sleep(Math.max(0, INTERVAL_MS - (performance.now() - began)));
  });
  const sending = sendingOf(unsent, await sentBy(hub));
  const after = await until(
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
    sending,
    hubS: busy.hubS - quiet.hubS,
    fleetS: busy.fleetS - quiet.fleetS,
  };
}

async function spent(hub: Hub, fleet: readonly Running[], act: () => Promise<unknown>) {
  const now = async () => {
    const ofFleet = await Promise.all(fleet.map(({ pid }) => cpuSecondsOf(pid)));
    return { hubS: await cpuSecondsOf(hub.pid), fleetS: ofFleet.reduce((sum, one) => sum + one, 0) };
  };
  const before = await now();
  await act();
  const after = await now();
  return { hubS: after.hubS - before.hubS, fleetS: after.fleetS - before.fleetS };
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
      firstMs: at(({ applied }) => applied, 0),
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
    of(({ sites, promotions }) => {
      const spentS = median(promotions.map(pick));
      return `${spentS.toFixed(2)} s (${((spentS / sites) * 1e6).toFixed(0)} µs a site)`;
    });
  const sent = (pick: (sending: Sending) => number) =>
    of(({ promotions }) => `${Math.round(median(promotions.map(({ sending }) => pick(sending))))} ms`);
  const [small, large] = measured.map((one) => mid(one, ({ p99Ms }) => p99Ms));
  const each = measured.map(
    (one) => `${one.sites} sites: ${one.latencies.map(({ p99Ms }) => `${Math.round(p99Ms)} ms`).join(', ')}`,
  );
  return {
    title: 'Promotion: control decides, every site applies',
    columns: ['what', ...of(({ sites }) => `${sites} sites`)],
    rows: [
      ['decided to applied, the first site', ...ms(({ firstMs }) => firstMs)],
      ['decided to applied, p50', ...ms(({ p50Ms }) => p50Ms)],
      ['decided to applied, p99', ...ms(({ p99Ms }) => p99Ms)],
      ['decided to applied, the last site', ...ms(({ worstMs }) => worstMs)],
      ['decided to delivered, p99', ...ms(({ deliveredP99Ms }) => deliveredP99Ms)],
      ['decided to confirmed by a new connection, p99', ...ms(({ confirmedP99Ms }) => confirmedP99Ms)],
      ['of it the hub, signed to sent: mean', ...sent(({ meanMs }) => meanMs)],
      ['of it the hub, signed to sent: all sites within', ...sent(({ allWithinMs }) => allWithinMs)],
      [
        'messages on table targets',
        ...of(({ promotions }) => promotions.map(({ targets }) => targets).join(', ')),
      ],
      ['CPU of the hub above its ordinary', ...cpu(({ hubS }) => hubS)],
      ['CPU of all sites above their ordinary', ...cpu(({ fleetS }) => fleetS)],
    ],
    notes: [
      `p99 grows ${((large ?? Number.NaN) / (small ?? Number.NaN)).toFixed(2)} times with ten times the sites (goal: at most twice).`,
      `Medians of ${ROUNDS} promotions; the p99 of each: ${each.join('; ')}.`,
      `The fleet's agents are in ${PROCESSES} process(es), on a machine of ${availableParallelism()} cores. Their CPU is for signature, plan, apply, read-back, confirmation, and the reports that follow.`,
      'Confirmation is a new connection of each site to the hub, which answers it.',
    ],
  };
}
