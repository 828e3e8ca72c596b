import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Type, { type Static } from 'typebox';
import { FleetEvent } from '../core/model/event.ts';
import { Flow } from '../core/model/policy-report.ts';
import { DemoHub } from './hub.ts';
import type { Group, Scene, Target } from './scene.ts';
import type { Teller } from './teller.ts';
import { waitFor } from './wait-for.ts';

/** With this seed the simulator's first four sites are two of env=test and two of env=prod. */
const SEED = 86;
const SITES = { test: ['sim-86-0001', 'sim-86-0002'], prod: ['sim-86-0003', 'sim-86-0004'] } as const;
const TRAFFIC = 'traffic.yaml';
const CONNECTIONS_PER_S = 4;
/** Each question is a process of its own. */
const ASK_EVERY_MS = 500;

const Events = Type.Array(FleetEvent);
const Detail = Type.Object({ report: Type.Object({ policy: Type.Object({ flows: Type.Array(Flow) }) }) });

/** Sites that are not there: hub, collectors' protocol and policy agents are the real ones, packets are a model. */
export class SimulatedScene implements Scene {
  readonly hub: DemoHub;
  readonly sites = SITES;
  readonly resolverRule = null;
  readonly #signal: AbortSignal;
  readonly #targets: Record<Group, readonly Target[]> = { test: [], prod: [] };

  constructor(env: Record<string, string>, signal: AbortSignal) {
    this.#signal = signal;
    this.hub = new DemoHub({ env, listen: '127.0.0.1:0', signal });
  }

  async populate(teller: Teller): Promise<void> {
    this.#writeTraffic();
    const argv = ['simulate', '--sites', '4', '--seed', String(SEED), '--interval', '1s'];
    argv.push('--incidents', 'none', '--traffic', TRAFFIC);
    teller.typed(['plumbline', ...argv]);
    const running = this.hub.run(argv);
    await waitFor(
      'the simulated sites are registered',
      () => running.exited() || running.output().includes('4 of 4 sites are registered'),
      { told: () => running.output(), signal: this.#signal },
    );
    if (running.exited()) throw new Error(`the simulation has ended:\n${running.output()}`);
    teller.printed(running.output());
  }

  connect(group: Group, targets: readonly Target[]): void {
    this.#targets[group] = targets;
    this.#writeTraffic();
  }

  async arrives(group: Group, { host, port }: Target): Promise<void> {
    // By port, since a site looks up no name that none of its rules has.
    const arrived = async (site: string) =>
      (await this.hub.ask(Detail, 'explain', 'site', site)).report.policy.flows
        .filter((flow) => flow.port === port && flow.verdict === 'allowed')
        .reduce((sum, { connections }) => sum + connections, 0);
    for (const site of SITES[group]) {
      const before = await arrived(site);
      await waitFor(
        `the workload of ${site} gets through to ${host}`,
        async () => (await arrived(site)) > before,
        { everyMs: ASK_EVERY_MS, signal: this.#signal },
      );
    }
  }

  /** Nobody is there to try the target: the sites say when each had the rules in force, and no more. */
  async outage(): Promise<{ ms: number; how: string }> {
    const known = await waitFor(
      'both sites of prod have let go',
      async () => {
        const events = await this.hub.ask(Events, 'get', 'events');
        const newest = SITES.prod.map((site) => stretchOf(events, site));
        return newest.every((one) => one !== null) && newest;
      },
      { everyMs: ASK_EVERY_MS, signal: this.#signal },
    );
    const fromMs = Math.min(...known.map((one) => one.fromMs));
    const toMs = Math.max(...known.map((one) => one.toMs));
    return {
      ms: toMs - fromMs,
      how: 'from the events of the simulated sites: in force at the first, taken away at both',
    };
  }

  reach(): readonly string[] {
    return ['The hub goes on, at the address above; the link there signs you in once.'];
  }

  stop(): Promise<void> {
    return this.hub.stop();
  }

  #writeTraffic(): void {
    const destinations = Object.entries(this.#targets).flatMap(([group, targets]) =>
      targets.map((target) => ({ ...target, perS: CONNECTIONS_PER_S, only: `env=${group}` })),
    );
    const traffic = [{ workload: 'checkout', labels: { app: 'checkout' }, destinations }];
    // JSON is YAML.
    writeFileSync(join(this.hub.dir, TRAFFIC), JSON.stringify(traffic));
  }
}

function stretchOf(events: Static<typeof Events>, site: string): { fromMs: number; toMs: number } | null {
  const at = (wanted: FleetEvent['kind']) =>
    events.find((event) => event.kind === wanted && event.site === site)?.atMs;
  const fromMs = at('policy.applied');
  const toMs = at('policy.withdrawn');
  return fromMs === undefined || toMs === undefined ? null : { fromMs, toMs };
}
