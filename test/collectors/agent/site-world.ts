import { setImmediate as turn } from 'node:timers/promises';
import { type Agent, type AgentOptions, createAgent } from '../../../collectors/agent/agent.ts';
import { compileFaults } from '../../../core/dataplane/nftables/faults.ts';
import type { PolicyReport, PolicyStatus } from '../../../core/model/policy-report.ts';
import type { Connection } from '../../../core/ports/connections.ts';
import type { ProbeMeeting, ProbeTarget } from '../../../core/ports/workload-prober.ts';
import { type Alive, Kernel, Killed } from './kernel.ts';
import { NOW_MS, ScriptedHub } from './scripted-hub.ts';

const quiet = { debug() {}, info() {}, warn() {}, error() {} };
export const SITE = 'jp-tokyo-1';

/** A machine: what is on its disk and in its kernel, and one agent after the other. */
export class SiteWorld {
  readonly hub = new ScriptedHub(SITE);
  readonly kernel = new Kernel();
  readonly disk = new Map<string, string>();
  readonly names = new Map<string, string[]>();
  readonly clock = { wallMs: NOW_MS, monoMs: 1000 };
  readonly probed: string[] = [];
  readonly connections: Connection[] = [];
  readonly cut: Connection[] = [];
  meeting: (target: ProbeTarget) => ProbeMeeting = () => ({ outcome: 'connected', control: 'connected' });
  /** Effects on disk, kernel and hub until the process is killed, and whether the last one still happens. */
  killAfter: { effects: number; lastHappens: boolean } | null = null;
  isDead = false;
  isDisarmed = false;
  #markerChanged: () => void = () => undefined;
  #agent: Agent | null = null;

  async boot(more: Partial<AgentOptions> = {}): Promise<void> {
    this.isDead = false;
    const alive: Alive = { effect: (work) => this.#effect(work) };
    // What this process may do ends with it, and not with the one after it.
    const mine = { isDead: false };
    const own: Alive = {
      effect: (work) => {
        if (mine.isDead) throw new Killed();
        try {
          return alive.effect(work);
        } finally {
          mine.isDead ||= this.isDead;
        }
      },
    };
    this.#agent = createAgent({ ...this.#options(own), ...more });
    await this.#agent.start();
  }

  async stop(): Promise<void> {
    await this.#agent?.stop();
  }

  /** One interval: what is due is done, and everything that follows from it. */
  async interval(ms = 1000): Promise<PolicyReport | null> {
    this.clock.wallMs += ms;
    this.clock.monoMs += ms;
    await settle();
    const observation = await this.#agent?.probe.read(AbortSignal.timeout(60_000)).catch(() => null);
    await settle();
    return observation?.parts.policy ?? null;
  }

  async intervals(count: number): Promise<PolicyReport | null> {
    let last: PolicyReport | null = null;
    for (let i = 0; i < count; i += 1) last = await this.interval();
    return last;
  }

  /** What the next report says of a policy. */
  async status(name: string): Promise<PolicyStatus | undefined> {
    return (await this.interval())?.policies.find((policy) => policy.name === name);
  }

  disarm = () => this.#agent?.disarm();
  arm = () => this.#agent?.arm();
  /** As another process of this machine does it. */
  async mark(isDisarmed: boolean): Promise<void> {
    this.isDisarmed = isDisarmed;
    this.#markerChanged();
    await settle();
  }

  #effect<T>(work: () => T): T {
    if (this.isDead) throw new Killed();
    if (this.killAfter === null) return work();
    this.killAfter.effects -= 1;
    if (this.killAfter.effects > 0) return work();
    const { lastHappens } = this.killAfter;
    this.isDead = true;
    this.killAfter = null;
    if (lastHappens) work();
    throw new Killed();
  }

  #options(alive: Alive): AgentOptions {
    return {
      site: SITE,
      enabled: true,
      enforcer: this.kernel.enforcer(alive),
      link: this.hub.link(alive),
      memory: {
        keep: (name, text) =>
          alive.effect(() => (text === null ? void this.disk.delete(name) : void this.disk.set(name, text))),
        kept: (name) => this.disk.get(name) ?? null,
      },
      workloads: [{ name: 'checkout', labels: { app: 'checkout' }, binding: { kind: 'user', uid: 1001 } }],
      endpoints: async () => [{ address: '192.0.2.1', port: 7117, protocol: 'TCP' }],
      compileFaults: (policy, workloads) =>
        compileFaults([policy], workloads).map(({ at, reason, remedy }) => ({
          pointer: at,
          problem: reason,
          remedy,
        })),
      names: {
        start: async () => undefined,
        stop: async () => undefined,
        watch: async () => undefined,
        known: () => this.names,
        namesOf: (address) => [...this.names].flatMap(([host, all]) => (all.includes(address) ? [host] : [])),
        onLearned: () => undefined,
      },
      prober: {
        stop: async () => undefined,
        probe: async (workload, target) => {
          this.probed.push(`${workload.name} ${target.address}:${target.port}`);
          return this.meeting(target);
        },
      },
      connections: {
        list: async () => [...this.connections],
        cut: async (connection) => {
          this.cut.push(connection);
          this.connections.splice(this.connections.indexOf(connection), 1);
          return true;
        },
      },
      marker: {
        isSet: () => this.isDisarmed,
        set: () => {
          this.isDisarmed = true;
        },
        clear: () => {
          this.isDisarmed = false;
        },
        watch: (listener) => {
          this.#markerChanged = listener;
          return () => undefined;
        },
      },
      clock: { nowMs: () => this.clock.wallMs, monoMs: () => this.clock.monoMs },
      logger: quiet,
      intervalMs: 1000,
      confirmWindowMs: 60_000,
      uid: 0,
      probePorts: { from: 65_400, to: 65_499 },
      random: () => 0.5,
    };
  }
}

/** Until everything that waits for nothing but its turn has had it. */
async function settle(): Promise<void> {
  for (let i = 0; i < 8; i += 1) await turn();
}
