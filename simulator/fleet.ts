import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock } from '../core/ports/clock.ts';
import type { Logger } from '../core/ports/logger.ts';
import type { Uplink } from '../core/ports/uplink.ts';
import { keyFrom } from '../core/seal.ts';
import { createBehaviour } from './behaviour.ts';
import { type Incident, troubleOf } from './incidents.ts';
import { hashOf } from './prng.ts';
import { SimulatedSite } from './simulated-site.ts';

/** How many sites begin a second, so that a hub is not met by thousands of handshakes at once. */
const BEGIN_PER_S = 100;
const TURNS_AN_INTERVAL = 100;
/** How long the last reports may take to be acknowledged when the fleet stops. */
const FAREWELL_MS = 5_000;

/** A site as the hub knows it, with the key that joining gave; `connect` may need more of it. */
export type JoinedSite = { site: string; key: Buffer };

export type FleetStats = {
  /** Reports made. `sent = acked + held + dropped` once nothing is under way. */
  sent: number;
  acked: number;
  held: number;
  dropped: number;
  /** Sealed bytes that were acknowledged. */
  bytes: number;
  connected: number;
};

export type Fleet = { start(): Promise<void>; stop(): Promise<void>; stats(): FleetStats };

export type FleetOptions<S extends JoinedSite> = {
  sites: readonly S[];
  seed: number;
  intervalMs: number;
  incidents: readonly Incident[];
  connect: (site: S) => Uplink;
  clock: Clock;
  logger: Logger;
  version: string;
  /** Calls again and again until the function it gives is called; the machine's own timer if left out. */
  every?: (run: () => void, everyMs: number) => () => void;
};

/**
 * Many sites in one process, on one timer: their turns are spread evenly over the interval. A turn that comes more than
 * an interval late is left out and reported as missed, as a collector does. What is held ends with the process, so a
 * fleet of the same names later begins boots of its own, which sort after these.
 */
export function createFleet<S extends JoinedSite>(options: FleetOptions<S>): Fleet {
  const { sites: joined, seed, intervalMs, incidents, connect, clock, logger, version } = options;
  const every = options.every ?? everyOf;
  const sites: { name: string; site: SimulatedSite }[] = [];
  let begun = 0;
  let turns = 0;
  let startedMonoMs = 0;
  let stopTurning: (() => void) | null = null;

  function create(one: S, startedAtMs: number) {
    const name = one.site;
    const counter = String(Math.floor(startedAtMs / 60_000)).padStart(8, '0');
    const boot = `${counter}-${hashOf(`${seed}/${name}/${startedAtMs}`).toString(16).padStart(8, '0')}`;
    const site = new SimulatedSite({
      site: name,
      key: keyFrom(one.key),
      boot,
      behaviour: createBehaviour(seed, name, startedAtMs),
      uplink: connect(one),
      clock,
      intervalMs,
      version,
    });
    return { name, site };
  }

  function turn(): void {
    const elapsedMs = clock.monoMs() - startedMonoMs;
    begin(elapsedMs);
    const due = Math.floor((elapsedMs * sites.length) / intervalMs);
    // Whole intervals before the turns that are due now: a turn of each site at most is made up for.
    const late = Math.floor((due - turns - 1) / Math.max(1, sites.length));
    if (late > 0) {
      logger.warn({ intervals: late }, 'simulator.late');
      for (const { site } of sites.slice(0, begun)) site.miss(late);
      turns += late * sites.length;
    }
    for (; turns < due; turns++) {
      const index = turns % sites.length;
      const one = sites[index];
      if (one !== undefined && index < begun)
        one.site.tick(troubleOf(incidents, seed, one.name, elapsedMs / 1000));
    }
  }

  function begin(elapsedMs: number): void {
    const due = Math.min(sites.length, 1 + Math.floor((elapsedMs * BEGIN_PER_S) / 1000));
    for (; begun < due; begun++) void sites[begun]?.site.start();
  }

  return {
    async start() {
      if (stopTurning !== null) return;
      startedMonoMs = clock.monoMs();
      const startedAtMs = clock.nowMs();
      sites.push(...joined.map((one) => create(one, startedAtMs)));
      stopTurning = every(turn, Math.min(100, Math.max(5, intervalMs / TURNS_AN_INTERVAL)));
      turn();
    },

    async stop() {
      if (stopTurning === null) return;
      stopTurning();
      stopTurning = null;
      const waiting = new AbortController();
      await Promise.race([
        Promise.all(sites.map(({ site }) => site.settled())),
        sleep(FAREWELL_MS, undefined, { signal: waiting.signal }).catch(() => undefined),
      ]);
      waiting.abort();
      await Promise.all(sites.map(({ site }) => site.stop()));
    },

    stats() {
      const stats: FleetStats = { sent: 0, acked: 0, held: 0, dropped: 0, bytes: 0, connected: 0 };
      for (const { site } of sites) {
        stats.sent += site.made;
        stats.acked += site.acked;
        stats.held += site.heldCount;
        stats.dropped += site.droppedCount;
        stats.bytes += site.bytes;
        stats.connected += Number(site.connected);
      }
      return stats;
    },
  };
}

function everyOf(run: () => void, everyMs: number): () => void {
  const timer = setInterval(run, everyMs);
  return () => clearInterval(timer);
}
