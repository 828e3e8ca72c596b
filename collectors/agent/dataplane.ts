import { parsePeer } from '../../core/policy/destination.ts';
import { peersOf } from '../../core/policy/guard.ts';
import type { EnforcedPolicy, Enforcer, Observed, Wanted, Workload } from '../../core/ports/enforcer.ts';
import type { Learned, NameResolver } from '../../core/ports/name-resolver.ts';
import type { Specs } from './specs.ts';
import type { Chosen, Endpoint } from './state.ts';

export type DataplaneOptions = {
  enforcer: Enforcer;
  names: NameResolver;
  specs: Specs;
  workloads: readonly Workload[];
  uid: number;
  probePorts: { from: number; to: number };
};

/** The owner let go, or the collector stops: not a failure of what was under way. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted';
}

/**
 * The enforcer as the agent uses it: one thing at a time, policies by what the memory holds of them, names kept looked up.
 * What an enforcer can't do rejects with its EnforcerError.
 */
export class Dataplane {
  readonly #options: DataplaneOptions;
  #last: Promise<unknown> = Promise.resolve();
  #isOpen = true;
  #hasStarted = false;
  #wanted: { policies: readonly Chosen[]; revision: number; endpoints: readonly Endpoint[] } | null = null;

  constructor(options: DataplaneOptions) {
    this.#options = options;
    options.names.onLearned((learned) => this.#learn(learned));
  }

  /** What was applied last, in this process; null before, after a withdrawal, and while what another applied is back. */
  get policies(): readonly Chosen[] | null {
    return this.#wanted?.policies ?? null;
  }

  /** While it is shut, nothing more is applied: what wants to rejects with Interrupted. Takes effect at once. */
  set open(isOpen: boolean) {
    this.#isOpen = isOpen;
  }

  /** The names are looked up before anything is held to them, as far as that can be had within moments. */
  async prepare(policies: readonly Chosen[]): Promise<void> {
    const present = this.#wanted?.policies ?? [];
    await this.#options.names.watch(this.#watched([...present, ...policies]));
  }

  apply(policies: readonly Chosen[], revision: number, endpoints: readonly Endpoint[]): Promise<void> {
    return this.#alone(async () => {
      if (!this.#isOpen) throw new Interrupted();
      await this.#begin();
      await this.#options.enforcer.apply(this.#asWanted(policies, revision, endpoints));
      this.#wanted = { policies, revision, endpoints };
      void this.#options.names.watch(this.#watched(policies));
    });
  }

  /** The same again; for what others changed, or the collector's own endpoints. */
  repair(endpoints?: readonly Endpoint[]): Promise<void> {
    return this.#alone(async () => {
      if (this.#wanted === null || !this.#isOpen) return;
      const { policies, revision } = this.#wanted;
      const next = { policies, revision, endpoints: endpoints ?? this.#wanted.endpoints };
      await this.#options.enforcer.apply(this.#asWanted(policies, revision, next.endpoints));
      this.#wanted = next;
    });
  }

  observe(): Promise<Observed | null> {
    return this.#alone(async () => (this.#wanted === null ? null : this.#options.enforcer.observe()));
  }

  /** What differs from what was applied, also after applying it once more: somebody may just have changed it. */
  async readBack(): Promise<readonly string[]> {
    const differences = (await this.observe())?.differences ?? [];
    if (differences.length === 0) return differences;
    await this.repair();
    return (await this.observe())?.differences ?? [];
  }

  /** Keeps aside what is in force without anybody knowing what it is. */
  hold(): Promise<void> {
    return this.#alone(async () => {
      if (!this.#isOpen) throw new Interrupted();
      await this.#begin();
      await this.#options.enforcer.hold();
    });
  }

  /** False when nothing was held. */
  putBack(): Promise<boolean> {
    return this.#alone(async () => {
      if (!this.#isOpen) throw new Interrupted();
      await this.#begin();
      const isBack = await this.#options.enforcer.putBack();
      if (isBack) this.#wanted = null;
      return isBack;
    });
  }

  withdraw(): Promise<void> {
    return this.#alone(async () => {
      await this.#begin();
      await this.#options.enforcer.withdraw();
      this.#wanted = null;
      void this.#options.names.watch([]);
    });
  }

  /** Leaves in force what is. */
  stop(): Promise<void> {
    return this.#alone(async () => {
      if (this.#hasStarted) await this.#options.enforcer.stop();
    });
  }

  async #begin(): Promise<void> {
    if (this.#hasStarted) return;
    await this.#options.enforcer.start();
    this.#hasStarted = true;
  }

  #learn({ host, addresses, keepS }: Learned): Promise<void> {
    return this.#alone(async () => {
      const isHeldTo = this.#wanted !== null && this.#hostsOf(this.#wanted.policies).includes(host);
      if (isHeldTo) await this.#options.enforcer.learn(host, addresses, keepS);
    });
  }

  #asWanted(policies: readonly Chosen[], revision: number, endpoints: readonly Endpoint[]): Wanted {
    const { specs, workloads, names, uid, probePorts } = this.#options;
    const known = names.known();
    const hosts = this.#hostsOf(policies).map((host) => [host, known.get(host) ?? []] as const);
    return {
      revision,
      workloads,
      policies: policies.map((policy) => enforced(policy, specs)),
      names: new Map(hosts),
      exempt: { uid, endpoints },
      probePorts,
    };
  }

  #hostsOf(policies: readonly Chosen[]): string[] {
    const hosts = policies.flatMap(({ digest }) => {
      const spec = this.#options.specs.get(digest);
      if (spec === null) return [];
      return peersOf(spec).flatMap(({ destination }) =>
        destination.kind === 'name' ? [destination.host] : [],
      );
    });
    return [...new Set(hosts)].sort();
  }

  /** Those of the probes too, though nothing is opened for them. */
  #watched(policies: readonly Chosen[]): string[] {
    const probed = policies.flatMap(({ probes }) =>
      probes.flatMap(({ to }) => {
        const parsed = parsePeer(to);
        return parsed.ok && parsed.destination.kind === 'name' ? [parsed.destination.host] : [];
      }),
    );
    return [...new Set([...this.#hostsOf(policies), ...probed])];
  }

  #alone<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#last.then(work);
    this.#last = result.catch(() => undefined);
    return result;
  }
}

function enforced({ kind, name, generation, digest, mode }: Chosen, specs: Specs): EnforcedPolicy {
  const spec = specs.get(digest);
  if (spec === null) throw new Error(`the specification of ${name}, generation ${generation}, is not kept`);
  return { kind, name, generation, digest, mode, spec };
}
