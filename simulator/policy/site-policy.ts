import type { Report } from '../../core/model/report.ts';
import type { Labels } from '../../core/model/site.ts';
import type { Clock } from '../../core/ports/clock.ts';
import type { Connections } from '../../core/ports/connections.ts';
import type { Enforcer, Workload } from '../../core/ports/enforcer.ts';
import type { Logger } from '../../core/ports/logger.ts';
import type { NameResolver } from '../../core/ports/name-resolver.ts';
import type { PolicyLink } from '../../core/ports/policy-link.ts';
import type { Observation } from '../../core/ports/probe.ts';
import type { Spool } from '../../core/ports/spool.ts';
import type { WorkloadProber } from '../../core/ports/workload-prober.ts';
import type { Trouble } from '../incidents.ts';
import { pick, type Random, randomFrom } from '../prng.ts';
import { createModelledDataplane } from './dataplane.ts';
import { addressesOf, createNames, type SimulatedNames } from './names.ts';
import { createProber } from './prober.ts';
import { type Traffic, trafficAt } from './traffic.ts';
import { troubledEnforcer, troubledLink } from './troubled.ts';

/** What the site's real policy agent is given in place of a host. */
export type AgentParts = {
  site: string;
  enforcer: Enforcer;
  link: PolicyLink;
  memory: Pick<Spool, 'keep' | 'kept'>;
  workloads: readonly Workload[];
  names: NameResolver;
  prober: WorkloadProber;
  connections: Connections;
  /** Whether the site's owner has let go. */
  isDisarmed: () => boolean;
  /** Corrected by the hub's. */
  clock: Clock;
  logger: Logger;
  intervalMs: number;
};

/** The same agent as on a host, as far as a simulated site needs to know it. `read` gives its part of each report. */
export type SimulatedAgent = {
  start(): Promise<void>;
  read(): Promise<Observation>;
  stop(): Promise<void>;
};
export type AgentFactory = (parts: AgentParts) => SimulatedAgent;

export type SitePolicyOptions = Pick<AgentParts, 'site' | 'link' | 'clock' | 'logger' | 'intervalMs'> & {
  seed: number;
  labels: Labels;
  /** See FleetOptions. */
  traffic: () => Traffic;
  createAgent: AgentFactory;
};

type Status = Report['probes'][number];
export type PolicyReading = { policy?: Report['policy']; status: Status };

/** Ids of users that the modelled workloads run as; no user of this machine is meant. */
const FIRST_UID = 70_000;

/**
 * A real policy agent before a modelled dataplane, and the traffic of the workloads through it. Nothing here has a timer:
 * each interval of traffic passes right before the agent reads.
 */
export class SitePolicy {
  #traffic: Traffic;
  /** What it was worked out from. */
  #everywhere: Traffic;
  readonly #random: Random;
  readonly #dataplane = createModelledDataplane();
  readonly #names: SimulatedNames = createNames();
  readonly #agent: SimulatedAgent;
  readonly #given: SitePolicyOptions;
  #trouble: Trouble = {};
  #busy: Promise<Observation> | null = null;

  constructor(given: SitePolicyOptions) {
    const { site, seed, labels, traffic, link, clock, logger, intervalMs } = given;
    this.#given = given;
    this.#everywhere = traffic();
    this.#traffic = trafficAt(this.#everywhere, labels);
    this.#random = randomFrom(`${seed}/${site}/traffic`);
    const troubleNow = () => this.#trouble;
    this.#agent = given.createAgent({
      site,
      enforcer: troubledEnforcer(this.#dataplane, troubleNow),
      link: troubledLink(link, troubleNow),
      memory: createMemory(),
      workloads: this.#traffic.map(({ workload, labels: given = {} }, i) => ({
        name: workload,
        labels: given,
        binding: { kind: 'user', uid: FIRST_UID + i },
      })),
      names: this.#names,
      prober: createProber(this.#dataplane),
      connections: { list: async () => [], cut: async () => false },
      isDisarmed: () => this.#trouble.disarmed !== undefined,
      clock,
      logger,
      intervalMs,
    });
  }

  start(): Promise<void> {
    return this.#agent.start();
  }

  stop(): Promise<void> {
    return this.#agent.stop();
  }

  /** Lets an interval of traffic pass, and reads the agent. Never rejects, as a collector's reading does not. */
  async read(trouble: Trouble): Promise<PolicyReading> {
    this.#trouble = trouble;
    this.#names.renew(this.#given.clock.monoMs());
    if (trouble['no-traffic'] === undefined) this.#pass(this.#given.intervalMs / 1000);
    if (this.#busy !== null) return { status: failed('still busy with the reading before') };
    this.#busy = this.#agent.read();
    try {
      const { parts, lost } = await this.#busy;
      return { ...parts, status: { name: 'policy', ok: true, lost } };
    } catch (error) {
      return { status: failed(error instanceof Error ? error.message : String(error)) };
    } finally {
      this.#busy = null;
    }
  }

  #pass(forS: number): void {
    const everywhere = this.#given.traffic();
    if (everywhere !== this.#everywhere) {
      this.#everywhere = everywhere;
      this.#traffic = trafficAt(everywhere, this.#given.labels);
    }
    for (const { workload, destinations } of this.#traffic)
      for (const destination of destinations) {
        const { port, protocol = 'TCP', perS } = destination;
        // Whole connections, as many as are wanted on the average.
        const count = Math.floor(perS * forS + this.#random());
        if (count === 0) continue;
        const address =
          'host' in destination
            ? pick([...addressesOf(destination.host)], this.#random)
            : destination.address;
        this.#dataplane.attempt({
          workload,
          direction: 'egress',
          address,
          port,
          protocol,
          count,
          isProbe: false,
        });
      }
  }
}

/** What a site remembers ends with the process, as its spool does. */
function createMemory(): AgentParts['memory'] {
  const texts = new Map<string, string>();
  return {
    keep(name, text) {
      if (text === null) texts.delete(name);
      else texts.set(name, text);
    },
    kept: (name) => texts.get(name) ?? null,
  };
}

function failed(error: string): Status {
  return { name: 'policy', ok: false, lost: 0, error: error.slice(0, 200) };
}
