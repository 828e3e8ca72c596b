import { setTimeout as sleep } from 'node:timers/promises';
import type { Labels } from '../core/model/site.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { Logger } from '../core/ports/logger.ts';
import type { PolicyLink } from '../core/ports/policy-link.ts';
import type { Uplink } from '../core/ports/uplink.ts';
import { keyFrom } from '../core/seal.ts';
import { createBehaviour } from './behaviour.ts';
import { type Incident, troubleOf } from './incidents.ts';
import { type AgentFactory, SitePolicy } from './policy/site-policy.ts';
import type { Traffic } from './policy/traffic.ts';
import { hashOf } from './prng.ts';
import { SimulatedSite } from './simulated-site.ts';

/** How many sites begin a second, so that a hub is not met by thousands of handshakes at once. */
const BEGIN_PER_S = 100;
const TURNS_AN_INTERVAL = 100;
/** How long the last reports may take to be acknowledged when the fleet stops. */
const FAREWELL_MS = 5_000;

/** A site as the hub knows it, with the key that joining gave; `connect` may need more of it. */
export type JoinedSite = { site: string; key: Buffer; labels: Labels };

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
  connect: (site: S) => Uplink & PolicyLink;
  /** Makes the policy agent of a site; null for sites without one. */
  createAgent: AgentFactory | null;
  /** What the workloads of the sites connect to, asked anew each interval. Which workloads there are, the first answer says. */
  traffic: () => Traffic;
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
  const { every = everyOf, intervalMs } = options;
  let turns: Turns | null = null;
  let stopTurning: (() => void) | null = null;
  return {
    async start() {
      if (stopTurning !== null) return;
      const startedAtMs = options.clock.nowMs();
      const sites = options.sites.map((one) => ({
        name: one.site,
        site: createSite(one, options.connect(one), options, startedAtMs),
      }));
      const running = new Turns(sites, options);
      turns = running;
      stopTurning = every(() => running.turn(), Math.min(100, Math.max(5, intervalMs / TURNS_AN_INTERVAL)));
      running.turn();
    },
    async stop() {
      if (stopTurning === null) return;
      stopTurning();
      stopTurning = null;
      await turns?.farewell();
    },
    stats() {
      const stats: FleetStats = { sent: 0, acked: 0, held: 0, dropped: 0, bytes: 0, connected: 0 };
      for (const { site } of turns?.sites ?? []) {
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

type Turning = Pick<
  FleetOptions<JoinedSite>,
  'seed' | 'intervalMs' | 'incidents' | 'createAgent' | 'traffic' | 'clock' | 'logger' | 'version'
>;

/** Whose turn it is: the nth turn is that of site n modulo their number, due at n interval / number. */
class Turns {
  readonly sites: readonly { name: string; site: SimulatedSite }[];
  readonly #given: Turning;
  readonly #startedMonoMs: number;
  #begun = 0;
  #done = 0;

  constructor(sites: Turns['sites'], given: Turning) {
    this.sites = sites;
    this.#given = given;
    this.#startedMonoMs = given.clock.monoMs();
  }

  turn(): void {
    const { sites } = this;
    const { clock, intervalMs, incidents, seed, logger } = this.#given;
    const elapsedMs = clock.monoMs() - this.#startedMonoMs;
    const begin = Math.min(sites.length, 1 + Math.floor((elapsedMs * BEGIN_PER_S) / 1000));
    for (; this.#begun < begin; this.#begun++) void sites[this.#begun]?.site.start();
    const due = Math.floor((elapsedMs * sites.length) / intervalMs);
    // Whole intervals before the turns that are due now: a turn of each site at most is made up for.
    const late = Math.floor((due - this.#done - 1) / Math.max(1, sites.length));
    if (late > 0) {
      logger.warn({ intervals: late }, 'simulator.late');
      for (const { site } of sites.slice(0, this.#begun)) site.miss(late);
      this.#done += late * sites.length;
    }
    for (; this.#done < due; this.#done++) {
      const index = this.#done % sites.length;
      const one = sites[index];
      if (one !== undefined && index < this.#begun)
        one.site.tick(troubleOf(incidents, seed, one.name, elapsedMs / 1000));
    }
  }

  /** Waits a little for acknowledgements under way, then hangs up. */
  async farewell(): Promise<void> {
    const waiting = new AbortController();
    await Promise.race([
      Promise.all(this.sites.map(({ site }) => site.settled())),
      sleep(FAREWELL_MS, undefined, { signal: waiting.signal }).catch(() => undefined),
    ]);
    waiting.abort();
    await Promise.all(this.sites.map(({ site }) => site.stop()));
  }
}

function createSite(
  { site, key, labels }: JoinedSite,
  uplink: Uplink & PolicyLink,
  { seed, clock, intervalMs, version, createAgent, traffic, logger }: Turning,
  startedAtMs: number,
): SimulatedSite {
  const corrected = { monoMs: () => clock.monoMs(), nowMs: () => clock.nowMs() + (uplink.offsetMs() ?? 0) };
  const policed = { site, seed, labels, traffic, link: uplink, clock: corrected, logger, intervalMs };
  const counter = String(Math.floor(startedAtMs / 60_000)).padStart(8, '0');
  const random = hashOf(`${seed}/${site}/${startedAtMs}`).toString(16).padStart(8, '0');
  return new SimulatedSite({
    site,
    key: keyFrom(key),
    boot: `${counter}-${random}`,
    behaviour: createBehaviour(seed, site, startedAtMs),
    uplink,
    policy: createAgent === null ? null : new SitePolicy({ ...policed, createAgent }),
    clock,
    intervalMs,
    version,
  });
}

function everyOf(run: () => void, everyMs: number): () => void {
  const timer = setInterval(run, everyMs);
  return () => clearInterval(timer);
}
