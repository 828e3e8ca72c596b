import type { Enforcer, Observed, ObservedFlow, Wanted } from '../../core/ports/enforcer.ts';
import type { Attempt, ModelledDataplane } from './modelled.ts';
import { matching, type Rules, rulesOf, selects } from './rules.ts';

/** As many as a set of the real dataplane holds. */
const MOST_FLOWS = 4096;

type Counter = { hits: number; probeHits: number };
type InForce = Pick<
  Observed['policies'][number],
  'kind' | 'name' | 'generation' | 'denies' | 'probeDenies'
> & {
  digest: string;
  mode: 'audit' | 'enforce';
  rules: Rules;
  counters: Map<string, Counter>;
};

/** Decides and counts modelled connections as the nftables table does: every rule that matches counts, and one verdict comes last. */
export function createModelledDataplane(): ModelledDataplane {
  return new ModelDataplane();
}

class ModelDataplane implements Enforcer {
  readonly dataplane = 'simulated';
  #wanted: Wanted | null = null;
  #policies: InForce[] = [];
  #names = new Map<string, Set<string>>();
  readonly #flows = new Map<string, ObservedFlow>();
  readonly #full = new Set<string>();

  async start(): Promise<void> {}
  async stop(): Promise<void> {}

  async apply(wanted: Wanted): Promise<void> {
    const isChange = wanted.revision !== this.#wanted?.revision;
    this.#wanted = wanted;
    this.#policies = wanted.policies.map((policy) => {
      const { kind, name, generation, digest, mode, spec } = policy;
      const held = this.#policies.find((one) => one.kind === kind && one.name === name);
      if (held?.generation === generation && held.digest === digest) return { ...held, mode };
      const rules = rulesOf(digest, spec);
      const counters = new Map<string, Counter>();
      for (const rule of [...(rules.egress ?? []), ...(rules.ingress ?? [])])
        counters.set(rule.name, { hits: 0, probeHits: 0 });
      return { kind, name, generation, digest, mode, rules, counters, denies: 0, probeDenies: 0 };
    });
    for (const [host, addresses] of wanted.names) this.#open(host, addresses);
    for (const host of this.#names.keys()) if (!wanted.names.has(host)) this.#names.delete(host);
    if (!isChange) return;
    for (const [id, { verdict }] of this.#flows) if (verdict === 'denied') this.#flows.delete(id);
    this.#full.clear();
  }

  async observe(): Promise<Observed> {
    return {
      differences: [],
      policies: this.#policies.map(({ kind, name, generation, counters, denies, probeDenies }) => ({
        kind,
        name,
        generation,
        rules: [...counters].map(([rule, { hits, probeHits }]) => ({ rule, hits, probeHits })),
        denies,
        probeDenies,
      })),
      flows: [...this.#flows.values()].map((flow) => ({ ...flow })),
      fullSets: [...this.#full],
    };
  }

  async learn(host: string, addresses: readonly string[]): Promise<void> {
    if (this.#wanted?.names.has(host) === true) this.#open(host, addresses);
  }

  /** A model lasts as long as its process, which can say what is in force. */
  async hold(): Promise<void> {}

  async putBack(): Promise<boolean> {
    return false;
  }

  async withdraw(): Promise<void> {
    this.#wanted = null;
    this.#policies = [];
    this.#names.clear();
    this.#flows.clear();
    this.#full.clear();
  }

  attempt(attempt: Attempt): 'allowed' | 'denied' {
    const workload = this.#wanted?.workloads.find(({ name }) => name === attempt.workload);
    if (workload === undefined) return 'allowed';
    const judged = this.#policies.flatMap((policy) => {
      if (!selects(policy.rules, workload.labels)) return [];
      const hits = matching(policy.rules, attempt, this.#names);
      return hits === null ? [] : [{ policy, hits }];
    });
    for (const { policy, hits } of judged) for (const rule of hits) count(policy.counters.get(rule), attempt);
    const enforced = judged.filter(({ policy }) => policy.mode === 'enforce');
    const isLetThrough = (those: typeof judged) => those.some(({ hits }) => hits.length > 0);
    for (const audit of judged) {
      if (audit.policy.mode === 'enforce' || isLetThrough([audit, ...enforced])) continue;
      deny(audit.policy, attempt);
      this.#note(attempt, 'denied', 'audit');
    }
    if (enforced.length === 0 || isLetThrough(enforced)) {
      this.#note(attempt, 'allowed');
      return 'allowed';
    }
    for (const { policy } of enforced) deny(policy, attempt);
    this.#note(attempt, 'denied', 'enforce');
    return 'denied';
  }

  #open(host: string, addresses: readonly string[]): void {
    const open = this.#names.get(host) ?? new Set();
    for (const address of addresses) open.add(address);
    this.#names.set(host, open);
  }

  #note(attempt: Attempt, verdict: ObservedFlow['verdict'], mode?: 'audit' | 'enforce'): void {
    const { workload, direction, address, port, protocol, count: connections } = attempt;
    const id = `${workload} ${direction} ${protocol} ${address} ${port} ${verdict} ${mode}`;
    const held = this.#flows.get(id);
    if (held !== undefined) held.connections += connections;
    else if (this.#flows.size >= MOST_FLOWS) this.#full.add(`flows of workload ${workload}`);
    else {
      const flow = { workload, direction, address, port, protocol, verdict, connections };
      this.#flows.set(id, { ...flow, ...(mode !== undefined && { mode }) });
    }
  }
}

function count(counter: Counter | undefined, { count: by, isProbe }: Attempt): void {
  if (counter === undefined) return;
  if (isProbe) counter.probeHits += by;
  else counter.hits += by;
}

function deny(policy: InForce, { count: by, isProbe }: Attempt): void {
  if (isProbe) policy.probeDenies += by;
  else policy.denies += by;
}
