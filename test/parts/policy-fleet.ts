import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { PolicyStatus } from '../../core/model/policy-report.ts';
import type { Report } from '../../core/model/report.ts';
import type { Rollout } from '../../core/model/rollout.ts';
import type { SiteVerdict } from '../../core/policy/evidence.ts';
import { createNetwork, type Network } from '../../demo/network.ts';
import { Collector, Hub } from './hub.ts';
import { NODE, ROOT, type Running, run, until } from './process.ts';
import { createTraffic, type Traffic } from './traffic.ts';

const HUB = 1;
const WORLD = 50;
export const WORKLOAD_UID = 30_001;
/** The world's other addresses, beside that of its name server. */
export const ADDRESSES = { api: 51, ledger: 52, canary: 53, mirror: 54 } as const;

/** What the API answers of a rollout. */
type RolloutAnswer = { rollout: Omit<Rollout['spec'], 'strategy'>; sites: SiteVerdict[] };
type RolloutView = RolloutAnswer['rollout'] & { sites: SiteVerdict[] };
export type Visits = Record<string, { ok: number; refused: number; failed: number }>;
const CHECKOUT = { name: 'checkout', labels: { app: 'checkout' }, user: String(WORKLOAD_UID) };
type SiteOptions = {
  /** Prepares the site's namespace before its collector starts. */
  before?: (network: Network) => void;
  workloads?: readonly object[];
  confirmWindow?: string;
  /** More of the collector's configuration. */
  config?: object;
  /** Where the site and its workload look names up; the world's name server if left out. */
  resolvers?: readonly string[];
  /** Of the collector's process. */
  env?: Record<string, string>;
};
type Target = { host: string; port: number };

/**
 * A hub, a world of servers with names, and sites whose workload is traffic under a user of its own: each a process in a
 * namespace of its own on one bridge, with real packets between them.
 */
export class PolicyFleet {
  readonly network = createNetwork();
  readonly hub: Hub;
  readonly sites = new Map<string, { collector: Collector; shopper: Running; namespace: string }>();
  readonly #extra: Running[] = [];
  readonly #traffic: Traffic[] = [];
  readonly #zone: string;
  readonly #world: string;
  readonly #hubNamespace: string;
  #nextAddress = 11;
  #editor: Running | null = null;

  constructor() {
    this.#hubNamespace = this.network.host('hub', HUB);
    this.#world = this.network.host('world', WORLD);
    for (const address of Object.values(ADDRESSES)) this.network.alias('world', address);
    this.hub = new Hub({ namespace: this.#hubNamespace, listen: `${this.network.addressOf(HUB)}:7117` });
    this.#zone = join(this.hub.dataDir, 'zone.json');
  }

  get nameServer(): string {
    return this.network.addressOf(WORLD);
  }
  address(of: keyof typeof ADDRESSES): string {
    return this.network.addressOf(ADDRESSES[of]);
  }

  async start(hubEnv: Record<string, string> = {}): Promise<void> {
    this.names({
      'api.payments.example': [this.address('api')],
      'ledger.example': [this.address('ledger')],
      'canary.example': [this.address('canary')],
    });
    const names = this.alongside('world', [
      NODE,
      `${ROOT}demo/world/name-server.js`,
      this.#zone,
      this.nameServer,
    ]);
    const web = this.alongside('world', [NODE, `${ROOT}demo/world/web-server.js`, '80', '8443']);
    await until('the world answers', () => [names, web].every((one) => one.output().includes('listening')));
    await this.hub.start(hubEnv);
  }

  /** What the name server says from now on. */
  names(zone: Record<string, readonly string[]>): void {
    writeFileSync(this.#zone, JSON.stringify(zone));
  }

  /** A site with enforcement on and a workload that has nowhere to go yet. */
  async addSite(name: string, labels: Record<string, string>, options: SiteOptions = {}): Promise<void> {
    const namespace = this.network.host(name, this.#nextAddress++);
    const { resolvers = [this.nameServer] } = options;
    this.network.resolver(name, ...resolvers);
    options.before?.(this.network);
    const token = await this.hub.addSite(name, labels);
    const config = join(this.hub.dataDir, `${name}.yaml`);
    const { workloads = [CHECKOUT], confirmWindow = '10s' } = options;
    const enforcement = { enabled: true, workloads };
    // JSON is YAML.
    writeFileSync(config, JSON.stringify({ interval: '1s', confirmWindow, enforcement, ...options.config }));
    const collector = new Collector(token, { namespace, config, ...(options.env && { env: options.env }) });
    collector.start();
    const shopper = run([NODE, `${ROOT}demo/world/shopper.js`, String(WORKLOAD_UID), '200', ...resolvers], {
      namespace,
    });
    this.sites.set(name, { collector, shopper, namespace });
  }

  /** Resolves when every site has been heard. */
  async heard(): Promise<void> {
    await until(
      'all are heard',
      async () => (await this.hub.sites()).every(({ freshness }) => freshness === 'heard'),
      60_000,
      () => [...this.sites.values()].map(({ collector }) => collector.output()).join('\n'),
    );
  }

  site(name: string) {
    const site = this.sites.get(name);
    if (site === undefined) throw new Error(`no site ${name}`);
    return site;
  }

  /** Where the workload of a site goes from now on. */
  shop(name: string, targets: readonly Target[]): void {
    this.site(name).shopper.child.stdin?.write(`${JSON.stringify(targets)}\n`);
  }
  /** How often a site's workload got through so far. */
  visits(name: string): Visits {
    const lines = this.site(name).shopper.output().trimEnd().split('\n');
    return JSON.parse(lines.at(-1) || '{}');
  }
  /** Waits until the workload of a site has met `outcome` at a target again from now on. */
  async meets(
    name: string,
    target: string,
    outcome: 'ok' | 'refused' | 'failed',
    withinMs = 30_000,
  ): Promise<void> {
    const before = this.visits(name)[target]?.[outcome] ?? 0;
    await until(
      `the workload of ${name} is ${outcome} at ${target}`,
      () => (this.visits(name)[target]?.[outcome] ?? 0) > before + 1,
      withinMs,
      () => JSON.stringify(this.visits(name)),
    );
  }

  /** Whether another user of a site's host gets through to an address. */
  async rootConnects(name: string, address: string, port: number): Promise<boolean> {
    const script = `require('node:net').connect(${port}, '${address}').once('connect', () => process.exit(0)).once('error', () => process.exit(1))`;
    return (await run([NODE, '-e', script], { namespace: this.site(name).namespace }).exit) === 0;
  }

  /** The CLI as a person at the hub types it. */
  async cli(...argv: string[]): Promise<{ code: number | null; said: string }> {
    const running = run([NODE, '--disable-warning=ExperimentalWarning', `${ROOT}main.ts`, ...argv], {
      namespace: this.#hubNamespace,
      env: { PLUMBLINE_DATA_DIR: this.hub.dataDir },
    });
    running.child.stdin?.end();
    const code = await running.exit;
    return { code, said: running.output() };
  }
  /** Waits until a rollout is as wanted; the error shows what it was last. */
  async rollout(
    policy: string,
    what: string,
    wanted: (rollout: RolloutView) => boolean,
    withinMs = 60_000,
  ): Promise<RolloutView> {
    let last: RolloutView | null = null;
    return until(
      `rollout of ${policy}: ${what}`,
      async () => {
        const { rollout, sites } = await this.hub.get<RolloutAnswer>(`/api/v1/rollouts/Allowlist/${policy}`);
        last = { ...rollout, sites };
        return wanted(last) && last;
      },
      withinMs,
      () => JSON.stringify(last, null, 1),
    );
  }

  /** What the newest report of a site says of a policy. */
  async status(site: string, policy: string): Promise<PolicyStatus | undefined> {
    const { report } = await this.hub.site(site);
    // cast: the hub gives the report as it came, which its schema was checked against
    return (report as Report | null)?.policy?.policies.find(({ name }) => name === policy);
  }

  /** New connections that a rule has decided at a site, as its newest report says. */
  async hits(site: string, policy: string, rule: string): Promise<number> {
    const { rules = [] } = (await this.status(site, policy)) ?? {};
    return rules.find((one) => one.rule === rule)?.hits ?? 0;
  }

  /** Whether the newest report of a site says that just this generation is applied. */
  async hasApplied(site: string, policy: string, generation: number): Promise<boolean> {
    const found = await this.status(site, policy);
    return found?.phase === 'applied' && found.generation === generation;
  }

  /** Another process that puts a rule of its own into the table of a site each second. */
  editing(site: string): void {
    const script =
      'while :; do nft insert rule inet plumbline "$(nft list table inet plumbline | grep -B1 "hook output" | sed -n "s/.*chain \\(.*\\) {/\\1/p")" accept; sleep 1; done';
    this.#editor = this.alongside(site, ['sh', '-c', script]);
  }
  async stopEditing(): Promise<void> {
    await this.#editor?.kill('SIGKILL');
  }

  /** `plumbline disarm` as the owner types it at a site. */
  async disarm(site: string): Promise<{ code: number | null; said: string }> {
    const { collector, namespace } = this.site(site);
    const running = run([NODE, '--disable-warning=ExperimentalWarning', `${ROOT}main.ts`, 'disarm'], {
      namespace,
      env: { PLUMBLINE_DATA_DIR: collector.dataDir },
    });
    running.child.stdin?.end();
    const code = await running.exit;
    return { code, said: running.output() };
  }

  write(name: string, text: string): string {
    const path = join(this.hub.dataDir, name);
    writeFileSync(path, text);
    return path;
  }

  /** A process that is ended with the fleet, in the namespace of a host. */
  alongside(host: string, command: readonly string[]): Running {
    const namespace = host === 'world' ? this.#world : this.site(host).namespace;
    const running = run(command, { namespace });
    this.#extra.push(running);
    return running;
  }

  /** A process in the namespace of a host that makes and answers connections as it is told. */
  traffic(host: string, user: number): Traffic {
    const traffic = createTraffic(host === 'world' ? this.#world : this.site(host).namespace, user);
    this.#traffic.push(traffic);
    return traffic;
  }

  async remove(): Promise<void> {
    for (const traffic of this.#traffic) await traffic.stop();
    for (const running of this.#extra) await running.kill('SIGKILL');
    for (const { collector, shopper } of this.sites.values()) {
      await shopper.kill('SIGKILL');
      await collector.remove();
    }
    await this.hub.remove();
    this.network.remove();
  }
}
