import {
  type Enforcer,
  EnforcerError,
  type Observed,
  type ObservedFlow,
  type Wanted,
} from '../../../core/ports/enforcer.ts';

/** What a process meets that was killed in the midst of something. */
export class Killed extends Error {}

/** Who may still do something: a process that was killed may not. */
export type Alive = { effect<T>(work: () => T): T };

/** What a machine's dataplane does, which outlives the processes that tell it. */
export class Kernel {
  inForce: Wanted | null = null;
  held: Wanted | null = null;
  /** Says why what is in force is not held, and why what was is not put back. */
  refusesToHold: EnforcerError | null = null;
  refusesToPutBack: EnforcerError | null = null;
  /** Changes so far that changed anything. */
  changes = 0;
  readonly counters = new Map<string, { hits: Map<string, number>; denies: number; probeDenies: number }>();
  flows: ObservedFlow[] = [];
  differences: string[] = [];
  fullSets: string[] = [];
  /** Says why a set of policies is not taken. */
  rejects: (wanted: Wanted) => EnforcerError | null = () => null;
  learned: string[] = [];
  /** Another process undoes every repair. */
  isEdited = false;

  enforcer(alive: Alive): Enforcer {
    return {
      dataplane: 'nftables',
      start: async () => undefined,
      stop: async () => undefined,
      apply: async (wanted) => alive.effect(() => this.#apply(wanted)),
      observe: async () => alive.effect(() => this.#observe()),
      learn: async (host, addresses) => {
        alive.effect(() => this.learned.push(...addresses.map((address) => `${host} ${address}`)));
      },
      hold: async () =>
        alive.effect(() => {
          if (this.refusesToHold !== null) throw this.refusesToHold;
          this.held = structuredClone(this.inForce);
        }),
      putBack: async () =>
        alive.effect(() => {
          if (this.refusesToPutBack !== null) throw this.refusesToPutBack;
          if (this.held === null) return false;
          this.inForce = structuredClone(this.held);
          this.changes += 1;
          return true;
        }),
      withdraw: async () =>
        alive.effect(() => {
          this.inForce = null;
          this.held = null;
          this.counters.clear();
          this.changes += 1;
        }),
    };
  }

  /** New connections that a rule of a policy in force decides. */
  hit(policy: string, rule: string, count: number): void {
    const hits = this.#of(policy).hits;
    hits.set(rule, (hits.get(rule) ?? 0) + count);
  }

  deny(policy: string, flow: Omit<ObservedFlow, 'verdict'>): void {
    this.#of(policy).denies += flow.connections;
    this.flow({ ...flow, verdict: 'denied' });
  }

  /** Adds to the total of a flow. */
  flow(flow: ObservedFlow): void {
    const same = this.flows.find(
      (one) => one.address === flow.address && one.port === flow.port && one.verdict === flow.verdict,
    );
    if (same === undefined) this.flows.push({ ...flow });
    else same.connections += flow.connections;
  }

  policies(): string[] {
    return (this.inForce?.policies ?? []).map(
      ({ name, generation, mode }) => `${name} ${generation} ${mode}`,
    );
  }

  #apply(wanted: Wanted): void {
    const rejection = this.rejects(wanted);
    if (rejection !== null) throw rejection;
    const before = JSON.stringify(this.inForce);
    this.inForce = structuredClone({ ...wanted, names: new Map(wanted.names) });
    if (JSON.stringify(this.inForce) !== before) this.changes += 1;
    if (!this.isEdited) this.differences = [];
    const present = new Set(wanted.policies.map(keyOf));
    for (const key of this.counters.keys()) if (!present.has(key)) this.counters.delete(key);
  }

  #observe(): Observed {
    const policies = (this.inForce?.policies ?? []).map((policy) => {
      const counted = this.counters.get(keyOf(policy));
      const rules = [...(policy.spec.egress ?? []), ...(policy.spec.ingress ?? [])];
      return {
        kind: policy.kind,
        name: policy.name,
        generation: policy.generation,
        rules: rules.map(({ name }) => ({ rule: name, hits: counted?.hits.get(name) ?? 0, probeHits: 0 })),
        denies: counted?.denies ?? 0,
        probeDenies: counted?.probeDenies ?? 0,
      };
    });
    return {
      differences: [...this.differences],
      policies,
      flows: structuredClone(this.flows),
      fullSets: this.fullSets,
    };
  }

  #of(name: string): { hits: Map<string, number>; denies: number; probeDenies: number } {
    const policy = this.inForce?.policies.find((one) => one.name === name);
    if (policy === undefined) throw new EnforcerError('rejected', `${name} is not in force`);
    const key = keyOf(policy);
    const counted = this.counters.get(key) ?? { hits: new Map(), denies: 0, probeDenies: 0 };
    this.counters.set(key, counted);
    return counted;
  }
}

function keyOf({ name, generation }: { name: string; generation: number }): string {
  return `${name} ${generation}`;
}
