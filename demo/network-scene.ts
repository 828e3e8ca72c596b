import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Type from 'typebox';
import { DemoHub } from './hub.ts';
import { createNetwork } from './network.ts';
import { NODE, PLUMBLINE, ROOT, type Running } from './process.ts';
import { API, CANARY, GROUPS, type Group, LEDGER, type Scene, type Target } from './scene.ts';
import type { Teller } from './teller.ts';
import { Visits } from './visits.ts';
import { waitFor } from './wait-for.ts';

const HUB = 1;
const FIRST_SITE = 11;
const WORLD = 50;
const SERVERS = [
  { target: API, address: 51 },
  { target: LEDGER, address: 52 },
  { target: CANARY, address: 53 },
];
const WORKLOAD_UID = 30_001;
const VISIT_EVERY_MS = 200;
const SITES = { test: ['test-1', 'test-2'], prod: ['prod-1', 'prod-2'] } as const;
const Invitation = Type.Object({ token: Type.String() });

type Site = { name: string; group: Group; shopper: Running; visits: Visits };

/** Real packets: every site, the hub and the servers are processes in network namespaces of their own, on one bridge. */
export class NetworkScene implements Scene {
  readonly hub: DemoHub;
  readonly sites = SITES;
  readonly resolverRule: string;
  readonly #network = createNetwork();
  readonly #world: string;
  readonly #hubNamespace: string;
  readonly #signal: AbortSignal;
  #shops: Site[] = [];

  constructor(env: Record<string, string>, signal: AbortSignal) {
    const network = this.#network;
    this.#signal = signal;
    this.#hubNamespace = network.host('hub', HUB);
    this.#world = network.host('world', WORLD);
    for (const { address } of SERVERS) network.alias('world', address);
    this.resolverRule = `{name: resolver, to: [{cidr: ${network.addressOf(WORLD)}/32, ports: [53/UDP]}]}`;
    const listen = `${network.addressOf(HUB)}:7117`;
    this.hub = new DemoHub({ env, listen, namespace: this.#hubNamespace, signal });
  }

  async populate(teller: Teller): Promise<void> {
    await this.#openWorld();
    const all = GROUPS.flatMap((group) => SITES[group].map((name) => ({ group, name })));
    const hosts = all.map(({ name }, i) => this.#network.host(name, FIRST_SITE + i));
    const [first] = all;
    for (const [i, { group, name }] of all.entries()) {
      const argv = ['site', 'add', name, '--label', `env=${group}`];
      if (all[i] === first) teller.typed(['plumbline', ...argv]);
      const { token } = await this.hub.ask(Invitation, ...argv);
      if (all[i] === first) teller.printed(`PLUMBLINE_JOIN=${token} ./plumbline collector`);
      this.#addSite(name, group, hosts[i] ?? '', token);
    }
    teller.say('The same for the other three. Their collectors run with enforcement on by their owners.');
  }

  connect(group: Group, targets: readonly Target[]): void {
    for (const { shopper } of this.#of(group)) shopper.child.stdin?.write(`${JSON.stringify(targets)}\n`);
  }

  async arrives(group: Group, target: Target): Promise<void> {
    const before = this.#of(group).map(({ visits }) => visits.at(target).ok);
    await waitFor(
      `the workloads of ${group} get through to ${target.host}`,
      () => this.#of(group).every(({ visits }, i) => visits.at(target).ok > (before[i] ?? 0)),
      { told: () => this.#told(), signal: this.#signal },
    );
  }

  async outage(target: Target): Promise<string> {
    const shops = this.#of('prod');
    await waitFor(
      `the workloads of prod get through to ${target.host} again`,
      () => shops.every(({ visits }) => visits.hasSettled(target)),
      { told: () => this.#told(), signal: this.#signal },
    );
    const stretches = shops.flatMap(({ visits }) => visits.outageOf(target) ?? []);
    const fromMs = Math.min(...stretches.map(({ fromMs }) => fromMs));
    const toMs = Math.max(...stretches.map(({ toMs }) => toMs));
    return `From the first deny to restored traffic at both: ${((toMs - fromMs) / 1000).toFixed(1)} s, by the workload itself, which tries every ${VISIT_EVERY_MS} ms.`;
  }

  reach(): readonly string[] {
    return [
      'The hub listens in a namespace of its own, where only this machine gets to:',
      `  ip netns exec ${this.#hubNamespace} \\`,
      `    env PLUMBLINE_DATA_DIR=${this.hub.dataDir} \\`,
      `    ${ROOT}plumbline rollout status allowlist/payments`,
      `Its address there is https://${this.#network.addressOf(HUB)}:7117.`,
    ];
  }

  async stop(): Promise<void> {
    await this.hub.stop();
    this.#network.remove();
  }

  #of(group: Group): Site[] {
    return this.#shops.filter((site) => site.group === group);
  }

  #told(): string {
    return this.#shops.map(({ name, shopper }) => `${name}: ${shopper.output().slice(-300)}`).join('\n');
  }

  async #openWorld(): Promise<void> {
    const addressOf = (address: number) => this.#network.addressOf(address);
    const zone = join(this.hub.dir, 'zone.json');
    const names = SERVERS.map(({ target, address }) => [target.host, [addressOf(address)]]);
    writeFileSync(zone, JSON.stringify(Object.fromEntries(names)));
    const script = (name: string) => `${ROOT}demo/world/${name}`;
    const servers = [
      this.#run([NODE, script('name-server.js'), zone, addressOf(WORLD)], this.#world),
      this.#run([NODE, script('web-server.js'), String(API.port), String(LEDGER.port)], this.#world),
    ];
    await waitFor('the servers listen', () => servers.every((one) => one.output().includes('listening')), {
      told: () => servers.map((one) => one.output()).join('\n'),
      signal: this.#signal,
    });
  }

  #addSite(name: string, group: Group, namespace: string, token: string): void {
    const nameServer = this.#network.addressOf(WORLD);
    this.#network.resolver(name, nameServer);
    const config = join(this.hub.dir, `${name}.yaml`);
    const workloads = [{ name: 'checkout', labels: { app: 'checkout' }, user: String(WORKLOAD_UID) }];
    // JSON is YAML.
    writeFileSync(config, JSON.stringify({ interval: '1s', enforcement: { enabled: true, workloads } }));
    this.#run([...PLUMBLINE, 'collector', '--config', config], namespace, {
      PLUMBLINE_DATA_DIR: join(this.hub.dir, name),
      PLUMBLINE_JOIN: token,
    });
    const shopper = this.#run(
      [NODE, `${ROOT}demo/world/shopper.js`, String(WORKLOAD_UID), String(VISIT_EVERY_MS), nameServer],
      namespace,
    );
    this.#shops.push({ name, group, shopper, visits: new Visits(shopper) });
  }

  #run(command: readonly string[], namespace: string, env: Record<string, string> = {}): Running {
    return this.hub.alongside(command, { namespace, env });
  }
}
