import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Type from 'typebox';
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
  async outage(): Promise<string> {
    const stretches = await waitFor(
      'prod has let go',
      async () => {
        const events = await this.hub.ask(Events, 'get', 'events');
        // A site that the rollback was faster than never had them.
        const known = SITES.prod.flatMap((site) => stretchOf(events, site) ?? []);
        return known.length > 0 && known.every(({ toMs }) => toMs > 0) && known;
      },
      { everyMs: ASK_EVERY_MS, signal: this.#signal },
    );
    const fromMs = Math.min(...stretches.map((one) => one.fromMs));
    const toMs = Math.max(...stretches.map((one) => one.toMs));
    return `From the first deny to restored traffic: ${((toMs - fromMs) / 1000).toFixed(1)} s, by the events of the simulated sites: in force at the first of them, taken away at the last.`;
  }

  reach(): readonly string[] {
    return [
      `The hub goes on at ${this.hub.said('Address')}. This signs you in to its page once:`,
      `  ${this.hub.said('Live page')}`,
    ];
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

/** When a site had the rules in force; up to 0 when it still has them, null when it never had. */
function stretchOf(events: readonly FleetEvent[], site: string): { fromMs: number; toMs: number } | null {
  const at = (kind: FleetEvent['kind']) =>
    events.find((event) => event.kind === kind && event.site === site)?.atMs;
  const fromMs = at('policy.applied');
  return fromMs === undefined ? null : { fromMs, toMs: at('policy.withdrawn') ?? 0 };
}
