import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { openStore } from '../adapters/clickhouse/open.ts';
import { Hub } from '../test/parts/hub.ts';
import { NODE, ROOT, type Running, run as spawn, until } from '../test/parts/process.ts';
import { cpuSecondsByThread, percent, residentMb } from './process-figures.ts';
import { type BenchOptions, type BenchResult, silent } from './result.ts';

/*
 * A fleet of simulated sites in a process of its own against a hub as users run it, with one viewer of the live view.
 *
 * Freshness is from when the simulator made a report to when the viewer has read the frame that shows it. The live view
 * says of a site when the hub received its newest report; the store, read after the run, says which report that was and
 * when it was made. Both ends read one machine's clock: what the site added to `ts` as the hub's offset is taken off.
 */

const SITES = 3000;
const INTERVAL = '10s';
const FOR_MS = 300_000;
const SLICES = 5;
/** Everybody connected and every site heard three times. */
const WARM_UP_MS = 30_000;

type Seen = { site: string; receivedAtMs: number; seenAtMs: number };

export async function run({ forMs = FOR_MS }: BenchOptions): Promise<BenchResult> {
  const hub = new Hub({ env: { PLUMBLINE_LOG_LEVEL: 'warn' } });
  let fleet: Running | null = null;
  try {
    await hub.start();
    fleet = simulate(hub);
    await until(
      'every site reports',
      async () => / of \d+ connected/.test(fleet?.output() ?? '') && (await heard(hub)) === SITES,
      240_000,
      () => `${fleet?.output().slice(-500)}\n${hub.output().slice(-2000)}`,
    );
    await sleep(WARM_UP_MS);
    const viewer = await watch(hub);
    const measured = await measure(hub, forMs);
    viewer.socket.terminate();
    await fleet.kill('SIGINT');
    const sent = fleet.output().trim().split('\n').at(-1) ?? '';
    const diagnosis = await hub.doctor();
    await hub.halt();
    const freshness = await freshnessOf(hub.dataDir, viewer.seen);
    return result(measured, freshness, { sent, healthy: diagnosis.healthy, forMs });
  } finally {
    await fleet?.kill('SIGKILL');
    await hub.remove();
  }
}

function simulate(hub: Hub): Running {
  const command = ['simulate', '--sites', String(SITES), '--interval', INTERVAL, '--incidents', 'none'];
  return spawn([NODE, '--disable-warning=ExperimentalWarning', `${ROOT}main.ts`, ...command], {
    env: { PLUMBLINE_URL: hub.url, PLUMBLINE_TOKEN: hub.token },
  });
}

async function heard(hub: Hub): Promise<number> {
  return Number(await metric(hub, 'plumbline_aggregator_sites'));
}

async function metric(hub: Hub, name: string): Promise<number> {
  const { body } = await hub.call('GET', '/metrics');
  const line = String(body)
    .split('\n')
    .find((one) => one.startsWith(`${name} `));
  return Number(line?.split(' ')[1] ?? 0);
}

/** A viewer of all sites; notes each time that it is told of a newer report of a site. */
async function watch(hub: Hub): Promise<{ socket: WebSocket; seen: Seen[] }> {
  const socket = new WebSocket(`${hub.url.replace('http', 'ws')}/api/v1/live`, {
    headers: { authorization: `Bearer ${hub.token}` },
    perMessageDeflate: false,
  });
  const seen: Seen[] = [];
  const opened = Promise.withResolvers<void>();
  socket.once('open', opened.resolve);
  socket.once('error', opened.reject);
  socket.on('message', (data) => {
    const seenAtMs = Date.now();
    const message = JSON.parse(String(data));
    if (message.type !== 'delta') return;
    for (const { id, receivedAtMs } of message.upsert) seen.push({ site: id, receivedAtMs, seenAtMs });
  });
  await opened.promise;
  socket.send('{"type":"subscribe"}');
  return { socket, seen };
}

type Measured = {
  share: number;
  threads: [string, number][];
  aggregator: number;
  batches: number;
  residentMb: number[];
};

async function measure(hub: Hub, forMs: number): Promise<Measured> {
  const began = performance.now();
  const before = await cpuSecondsByThread(hub.pid);
  const busyBefore = await metric(hub, 'plumbline_aggregator_batch_seconds_sum');
  const batchesBefore = await metric(hub, 'plumbline_aggregator_batch_seconds_count');
  const resident = [await residentMb(hub.pid)];
  for (let slice = 0; slice < SLICES; slice++) {
    await sleep(forMs / SLICES);
    resident.push(await residentMb(hub.pid));
  }
  const elapsedS = (performance.now() - began) / 1000;
  const after = await cpuSecondsByThread(hub.pid);
  const threads = [...after].map(([name, s]): [string, number] => [
    name,
    (s - (before.get(name) ?? 0)) / elapsedS,
  ]);
  return {
    share: threads.reduce((sum, [, share]) => sum + share, 0),
    threads: threads.sort((a, b) => b[1] - a[1]),
    aggregator: ((await metric(hub, 'plumbline_aggregator_batch_seconds_sum')) - busyBefore) / elapsedS,
    batches: ((await metric(hub, 'plumbline_aggregator_batch_seconds_count')) - batchesBefore) / elapsedS,
    residentMb: resident,
  };
}

type Freshness = { count: number; p50Ms: number; p99Ms: number; appendP50Ms: number };

/** Joins what the viewer saw with the reports of the stopped hub's store. */
async function freshnessOf(dataDir: string, seen: readonly Seen[]): Promise<Freshness> {
  const store = openStore({ path: join(dataDir, 'store') }, { logger: silent });
  try {
    await store.start();
    const rows = await store.query<{ site: string; made: number; received: number }>(
      `SELECT site, toUnixTimestamp64Milli(ts) - ifNull(clock_offset_ms, 0) AS made,
         toUnixTimestamp64Milli(received_at) AS received FROM plumbline.report`,
      {},
      'replay',
    );
    const madeAt = new Map(rows.map(({ site, made, received }) => [`${site}/${received}`, made]));
    const ages: number[] = [];
    const appends: number[] = [];
    for (const { site, receivedAtMs, seenAtMs } of seen) {
      const made = madeAt.get(`${site}/${receivedAtMs}`);
      // A frame may repeat a site whose newest report the viewer knows; only the first time counts.
      if (made === undefined || !madeAt.delete(`${site}/${receivedAtMs}`)) continue;
      ages.push(seenAtMs - made);
      appends.push(receivedAtMs - made);
    }
    ages.sort((a, b) => a - b);
    appends.sort((a, b) => a - b);
    const at = (values: number[], q: number) => values[Math.floor(values.length * q)] ?? Number.NaN;
    return {
      count: ages.length,
      p50Ms: at(ages, 0.5),
      p99Ms: at(ages, 0.99),
      appendP50Ms: at(appends, 0.5),
    };
  } finally {
    await store.stop();
  }
}

function result(
  { share, threads, aggregator, batches, residentMb: resident }: Measured,
  { count, p50Ms, p99Ms, appendP50Ms }: Freshness,
  { sent, healthy, forMs }: { sent: string; healthy: boolean; forMs: number },
): BenchResult {
  const named = threads.filter(([, part]) => part > 0.002).map(([name, part]) => `${name} ${percent(part)}`);
  return {
    title: `Fleet: ${SITES} simulated sites at ${INTERVAL} for ${forMs / 1000} s`,
    columns: ['what', 'measured'],
    rows: [
      ['hub, of one core', percent(share)],
      [
        'aggregator, of the time a batch in hand',
        `${percent(aggregator)}, ${batches.toFixed(2)} batches a second`,
      ],
      ['from probe to live frame, p50', `${p50Ms} ms`],
      ['from probe to live frame, p99', `${p99Ms} ms`],
      ['of that, from probe to log, p50', `${appendP50Ms} ms`],
      ['resident, at each fifth', `${resident.map((mb) => mb.toFixed(0)).join(', ')} MB`],
    ],
    notes: [
      `By thread, of one core: ${named.join(', ')}.`,
      "The aggregator's share is its own metric plumbline_aggregator_batch_seconds: wall time from a batch in hand to its position committed, waiting for disk, store and processor included. It is an upper bound.",
      `Freshness of ${count} reports, each the first time that the viewer was told of it.`,
      `Simulator: ${sent}. Doctor afterwards: ${healthy ? 'healthy' : 'NOT healthy'}.`,
    ],
  };
}
