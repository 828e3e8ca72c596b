import { setTimeout as sleep } from 'node:timers/promises';
import type { Labels } from '../core/model/site.ts';
import { createFleet, type FleetOptions, type FleetStats, type JoinedSite } from './fleet.ts';
import { hashOf, pick, randomFrom } from './prng.ts';

const REGISTRATIONS_AT_ONCE = 32;
const REGIONS: [string, ...string[]] = [
  'eu-central',
  'eu-west',
  'us-east',
  'us-west',
  'ap-northeast',
  'ap-southeast',
];

export type Registered<S> = { ok: true; joined: S } | { ok: false; code: string; detail: string };

export type RunOptions<S extends JoinedSite> = Omit<FleetOptions<S>, 'sites'> & {
  sites: number;
  register: (site: string, labels: Labels) => Promise<Registered<S>>;
  /** Until aborted when null. */
  forMs: number | null;
  signal: AbortSignal;
  onProgress: (progress: { registered: number } | { stats: FleetStats }) => void;
  progressMs?: number;
};

export type RunResult = { ok: true; stats: FleetStats } | { ok: false; code: string; detail: string };

/** The names of a simulated fleet carry its seed, so that two fleets can run beside each other. */
function simulatedName(seed: number, index: number): string {
  return `sim-${seed}-${String(index + 1).padStart(4, '0')}`;
}

/** Given labels of a simulated site: a fifth is env=test, regions are even, and all say that they are simulated. */
function simulatedLabels(seed: number, site: string): Labels {
  return {
    simulated: 'true',
    env: hashOf(`${seed}/${site}/env`) % 5 === 0 ? 'test' : 'prod',
    region: pick(REGIONS, randomFrom(`${seed}/${site}/region`)),
  };
}

/** Registers the sites, runs the fleet until its time is over or it is aborted, and stops it. */
export async function runSimulation<S extends JoinedSite>(options: RunOptions<S>): Promise<RunResult> {
  const { signal, onProgress, forMs, clock, progressMs = 10_000 } = options;
  const registered = await registerAll(options);
  if (!registered.ok) return registered;
  const fleet = createFleet({ ...options, sites: registered.sites });
  await fleet.start();
  const endMonoMs = forMs === null ? Number.POSITIVE_INFINITY : clock.monoMs() + forMs;
  while (!signal.aborted && clock.monoMs() < endMonoMs) {
    const leftMs = Math.min(progressMs, endMonoMs - clock.monoMs());
    await sleep(leftMs, undefined, { signal }).catch(() => undefined);
    onProgress({ stats: fleet.stats() });
  }
  await fleet.stop();
  return { ok: true, stats: fleet.stats() };
}

async function registerAll<S extends JoinedSite>(
  options: RunOptions<S>,
): Promise<{ ok: true; sites: S[] } | { ok: false; code: string; detail: string }> {
  const { sites: count, seed, register, signal, onProgress } = options;
  const sites = new Map<number, S>();
  let next = 0;
  let refused: { ok: false; code: string; detail: string } | null = null;
  async function work(): Promise<void> {
    while (next < count && refused === null && !signal.aborted) {
      const index = next++;
      const name = simulatedName(seed, index);
      const registered = await register(name, simulatedLabels(seed, name));
      if (!registered.ok) {
        refused = registered;
        return;
      }
      sites.set(index, registered.joined);
      if (sites.size % 100 === 0 || sites.size === count) onProgress({ registered: sites.size });
    }
  }
  await Promise.all(Array.from({ length: Math.min(REGISTRATIONS_AT_ONCE, count) }, work));
  if (refused !== null) return refused;
  return { ok: true, sites: [...sites].sort(([a], [b]) => a - b).map(([, site]) => site) };
}
