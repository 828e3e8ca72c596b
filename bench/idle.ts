import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Hub } from '../test/parts/hub.ts';
import { ROOT, type Running, run as spawn, until } from '../test/parts/process.ts';
import { percent, residentMb, shareOfCore } from './process-figures.ts';
import type { BenchOptions, BenchResult } from './result.ts';

/*
 * What a site and a small hub cost while nothing happens, each as users run it: a collector of this machine beside one
 * hub, and another hub that hears ten simulated sites. All processes are apart, so that each is charged for itself only.
 */

const SITES = 10;
const INTERVAL = '10s';
/** Compilers, first merges and the page cache settle in this, and the first merged parts are deleted after two minutes. */
const WARM_UP_MS = 180_000;
const FOR_MS = 120_000;

export async function run({ forMs = FOR_MS }: BenchOptions): Promise<BenchResult> {
  const quiet = new Hub({ env: { PLUMBLINE_LOG_LEVEL: 'warn' } });
  const hub = new Hub({ env: { PLUMBLINE_LOG_LEVEL: 'warn' } });
  const dataDir = await mkdtemp(join(tmpdir(), 'plumbline-site-'));
  let collector: Running | null = null;
  let fleet: Running | null = null;
  try {
    await Promise.all([quiet.start(), hub.start()]);
    const join = await quiet.addSite('bench');
    // Twice, because the first start of a checkout compiles what later ones find compiled.
    for (const _ of [1, 2]) {
      await collector?.kill('SIGTERM');
      collector = collect(dataDir, join);
      const said = collector;
      await until('the collector says that it runs', () => said.output().includes('Collecting'));
    }
    fleet = simulate(hub, SITES);
    await until(
      'the collector reports',
      async () => (await quiet.sites()).some((site) => site.receivedAtMs !== null),
      60_000,
    );
    await until('all sites report', async () => {
      const sites = await hub.sites();
      return sites.length === SITES && sites.every((site) => site.receivedAtMs !== null);
    });
    await sleep(WARM_UP_MS);
    const [site, small] = await Promise.all([figures(collector?.pid ?? -1, forMs), figures(hub.pid, forMs)]);
    return result(site, small, forMs);
  } finally {
    await fleet?.kill('SIGINT');
    await collector?.kill('SIGTERM');
    await rm(dataDir, { recursive: true, force: true });
    await Promise.all([quiet.remove(), hub.remove()]);
  }
}

function collect(dataDir: string, join: string): Running {
  return spawn([`${ROOT}plumbline`, 'collector', '--interval', INTERVAL], {
    env: { PLUMBLINE_DATA_DIR: dataDir, PLUMBLINE_JOIN: join, PLUMBLINE_LOG_LEVEL: 'warn' },
  });
}

function simulate(hub: Hub, sites: number): Running {
  const options = ['--sites', String(sites), '--interval', INTERVAL, '--incidents', 'none'];
  return spawn([`${ROOT}plumbline`, 'simulate', ...options], {
    env: { PLUMBLINE_URL: hub.url, PLUMBLINE_TOKEN: hub.token },
  });
}

type Figures = { share: number; mb: number };

async function figures(pid: number, forMs: number): Promise<Figures> {
  const share = await shareOfCore(pid, forMs);
  return { share, mb: await residentMb(pid) };
}

function result(site: Figures, hub: Figures, forMs: number): BenchResult {
  const row = (what: string, { share, mb }: Figures, goal: string) => [
    what,
    percent(share),
    `${mb.toFixed(0)} MB`,
    goal,
  ];
  return {
    title: 'Idle: one collector, one small hub',
    columns: ['process', 'of one core', 'resident', 'goal'],
    rows: [
      row(`collector at ${INTERVAL}`, site, 'under 1%, under 120 MB'),
      row(`hub with ${SITES} sites at ${INTERVAL}`, hub, 'under 2%, under 700 MB'),
    ],
    notes: [
      `From /proc over ${forMs / 1000} s, ${WARM_UP_MS / 1000} s after everything reported. Nobody looks at the live view.`,
    ],
  };
}
