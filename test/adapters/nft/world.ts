import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createNftEnforcer } from '../../../adapters/nft/enforcer.ts';
import type { AllowlistSpec } from '../../../core/model/allowlist.ts';
import { systemClock } from '../../../core/ports/clock.ts';
import type { EnforcedPolicy, Enforcer, Observed, Wanted } from '../../../core/ports/enforcer.ts';
import { createNetwork } from '../../../demo/network.ts';
import { silentLogger } from '../../contract/silent-logger.ts';
import { createTraffic, type Traffic } from '../../parts/traffic.ts';

const CHECKOUT = 30_001;
const OTHER = 30_002;
const COLLECTOR = 30_003;
export const PROBES = { from: 61_000, to: 61_015 };
/** Where the far host answers, over IPv4 and IPv6, TCP and UDP. */
const PORTS = [443, 444, 80];
export const FAR = '10.77.0.2';
export const FAR_TOO = '10.77.0.3';
export const FAR_6 = 'fd77::2';

/**
 * A site with a workload behind a user and one behind an interface (a namespace that it forwards for, 10.78.0.2), and a far
 * host with two addresses of each family. Real packets, real kernel; nothing outside namespaces of the test's own.
 */
export class World {
  readonly network = createNetwork();
  readonly dir = mkdtempSync(join(tmpdir(), 'plumbline-nft-'));
  readonly bootFile = join(this.dir, 'enforced.nft.json');
  readonly site = this.network.host('site', 1);
  readonly far = this.network.host('far', 2);
  readonly vm = this.network.host('vm', 9);
  readonly checkout: Traffic;
  readonly other: Traffic;
  readonly collector: Traffic;
  readonly root: Traffic;
  readonly inside: Traffic;
  readonly distant: Traffic;
  enforcer = this.create();

  constructor() {
    const { site, far, vm } = this;
    this.network.alias('far', 3);
    ip('-n', site, 'link', 'add', 'wl0', 'type', 'veth', 'peer', 'name', 'wl', 'netns', vm);
    ip('-n', vm, 'link', 'set', 'eth0', 'down');
    for (const [name, device, last] of [
      [site, 'wl0', 1],
      [vm, 'wl', 2],
    ] as const) {
      ip('-n', name, 'addr', 'add', `10.78.0.${last}/24`, 'dev', device);
      ip('-n', name, '-6', 'addr', 'add', `fd78::${last}/64`, 'dev', device, 'nodad');
      ip('-n', name, 'link', 'set', device, 'up');
    }
    ip('-n', vm, 'route', 'add', 'default', 'via', '10.78.0.1');
    ip('-n', far, 'route', 'add', '10.78.0.0/24', 'via', '10.77.0.1');
    ip('-n', vm, '-6', 'route', 'add', 'default', 'via', 'fd78::1');
    ip('-n', far, '-6', 'route', 'add', 'fd78::/64', 'via', 'fd77::1');
    ip('netns', 'exec', site, 'sysctl', '-qw', 'net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1');
    this.checkout = createTraffic(site, CHECKOUT);
    this.other = createTraffic(site, OTHER);
    this.collector = createTraffic(site, COLLECTOR);
    this.root = createTraffic(site, 0);
    this.inside = createTraffic(vm, 0);
    this.distant = createTraffic(far, 0);
  }

  async open(): Promise<void> {
    for (const port of PORTS)
      for (const deed of ['listen', 'answer'] as const) {
        await this.distant.act({ deed, address: '::', port });
        await this.inside.act({ deed, address: '::', port });
      }
  }

  /** A fresh enforcer over whatever the table is, as after a restart of the collector. */
  create(): Enforcer {
    const run = ['ip', 'netns', 'exec', this.site, 'nft'] as const;
    return createNftEnforcer({ run, bootFile: this.bootFile, clock: systemClock, logger: silentLogger });
  }

  async renew(): Promise<void> {
    this.nft('flush ruleset');
    this.enforcer = this.create();
    await this.enforcer.start();
  }

  nft(command: string): string {
    const [option, ...rest] = command.split(' ');
    const words = option?.startsWith('-') ? [option, rest.join(' ')] : [command];
    return execFileSync('ip', ['netns', 'exec', this.site, 'nft', ...words], {
      encoding: 'utf8',
      stdio: 'pipe',
    });
  }

  /** For what is too long for an argument. */
  nftFile(commands: string): void {
    const path = join(this.dir, 'commands.nft');
    writeFileSync(path, commands);
    execFileSync('ip', ['netns', 'exec', this.site, 'nft', '-f', path], { stdio: 'pipe' });
    rmSync(path);
  }

  async connect(who: Traffic, address: string, port: number, from?: number): Promise<string> {
    const { outcome } = await who.act({
      deed: 'connect',
      address,
      port,
      ...(from === undefined ? {} : { from }),
    });
    return outcome;
  }

  async remove(): Promise<void> {
    const processes = [this.checkout, this.other, this.collector, this.root, this.inside, this.distant];
    await Promise.all(processes.map((one) => one.stop()));
    this.network.remove();
    rmSync(this.dir, { recursive: true });
  }
}

export function wanted(policies: readonly EnforcedPolicy[], more: Partial<Wanted> = {}): Wanted {
  return {
    revision: 1,
    workloads: [
      { name: 'checkout', labels: { app: 'checkout' }, binding: { kind: 'user', uid: CHECKOUT } },
      { name: 'vm', labels: { app: 'vm' }, binding: { kind: 'interface', name: 'wl0' } },
    ],
    policies,
    names: new Map(),
    exempt: { uid: COLLECTOR, endpoints: [{ address: FAR, port: 444, protocol: 'TCP' }] },
    probePorts: PROBES,
    ...more,
  };
}

export function policy(
  name: string,
  egress: AllowlistSpec['egress'],
  more: Partial<Omit<EnforcedPolicy, 'spec'>> & { spec?: Partial<AllowlistSpec> } = {},
): EnforcedPolicy {
  const { spec, ...others } = more;
  return {
    kind: 'Allowlist',
    name,
    generation: 1,
    digest: 'd'.repeat(43),
    mode: 'enforce',
    ...others,
    spec: { workloads: 'app=checkout', ...(egress === undefined ? {} : { egress }), ...spec },
  };
}

/** Hits by policy and rule, probe hits after a slash when there are any; and what was denied. */
export function counts({ policies }: Observed): Record<string, Record<string, number | string>> {
  return Object.fromEntries(
    policies.map(({ name, rules, denies, probeDenies }) => [
      name,
      Object.fromEntries([
        ...rules.map(({ rule, hits, probeHits }) => [rule, probeHits > 0 ? `${hits}/${probeHits}` : hits]),
        ['denied', probeDenies > 0 ? `${denies}/${probeDenies}` : denies],
      ]),
    ]),
  );
}

/** As "denied checkout TCP 10.77.0.2:80 x1", in order. */
export function flows({ flows: all }: Observed): string[] {
  return all
    .map(
      ({ workload, direction, address, port, protocol, verdict, mode, connections }) =>
        `${mode === 'audit' ? 'audited' : verdict} ${workload} ${direction} ${protocol} ${address} ${port} x${connections}`,
    )
    .sort();
}

function ip(...args: string[]): void {
  execFileSync('ip', args, { stdio: ['ignore', 'pipe', 'pipe'] });
}
