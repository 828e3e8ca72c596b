import { setTimeout as sleep } from 'node:timers/promises';
import { Collector, Hub } from '../test/parts/hub.ts';
import { NODE, ROOT, run as spawn, until } from '../test/parts/process.ts';
import { percent, residentMb, shareOfCore } from './process-figures.ts';
import type { BenchOptions, BenchResult } from './result.ts';

/*
 * What a site and a small hub cost while nothing happens, each as users run it: a collector of this machine beside one
 * hub, and another hub that hears ten simulated sites. All processes are apart, so that each is charged for itself only.
 */

const SITES = 10;
const INTERVAL = '10s';
/** Compilers, first merges and the page cache settle in this. */
const WARM_UP_MS = 45_000;
const FOR_MS = 90_000;

export async function run({ forMs = FOR_MS }: BenchOptions): Promise<BenchResult> {
  const quiet = new Hub({ env: { PLUMBLINE_LOG_LEVEL: 'warn' } });
  const hub = new Hub({ env: { PLUMBLINE_LOG_LEVEL: 'warn' } });
  let collector: Collector | null = null;
  let fleet: ReturnType<typeof spawn> | null = null;
  try {
    await Promise.all([quiet.start(), hub.start()]);
    collector = new Collector(await quiet.addSite('bench'), { env: { PLUMBLINE_INTERVAL: INTERVAL } });
    collector.start();
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
    const [site, small] = await Promise.all([figures(collector.pid, forMs), figures(hub.pid, forMs)]);
    return result(site, small, forMs);
  } finally {
    await fleet?.kill('SIGINT');
    await collector?.remove();
    await Promise.all([quiet.remove(), hub.remove()]);
  }
}

function simulate(hub: Hub, sites: number) {
  const command = ['simulate', '--sites', String(sites), '--interval', INTERVAL, '--incidents', 'none'];
  return spawn([NODE, '--disable-warning=ExperimentalWarning', `${ROOT}main.ts`, ...command], {
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
