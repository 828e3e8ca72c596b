import type { ProbeRequest } from '../../core/model/allowlist.ts';
import type { ProbeResult } from '../../core/model/policy-report.ts';
import { targetKey } from '../../core/model/signed.ts';
import { parsePeer } from '../../core/policy/destination.ts';
import type { Clock } from '../../core/ports/clock.ts';
import type { Observed, Workload } from '../../core/ports/enforcer.ts';
import type { NameResolver } from '../../core/ports/name-resolver.ts';
import type { ProbeMeeting, ProbeTarget, WorkloadProber } from '../../core/ports/workload-prober.ts';
import { selectedBy } from './plan.ts';
import type { Specs } from './specs.ts';
import type { Chosen } from './state.ts';

/** Places that probes went to, which are told from what workloads do. */
const MAX_TRIED = 1024;

export type ProbingOptions = {
  prober: WorkloadProber;
  names: NameResolver;
  specs: Specs;
  workloads: readonly Workload[];
  observe: () => Promise<Observed | null>;
  clock: Clock;
};

/** Tries the probes of the policies in force, as the workloads that they select, one after the other; one round at a time. */
export class Probing {
  readonly #options: ProbingOptions;
  readonly #results = new Map<string, { generation: number; results: ProbeResult[] }>();
  /** By policy and probe; a name may have had another address when it was probed. */
  readonly #tried = new Set<string>();

  constructor(options: ProbingOptions) {
    this.#options = options;
  }

  resultsOf(policy: Chosen): ProbeResult[] {
    const held = this.#results.get(targetKey(policy.kind, policy.name));
    return held?.generation === policy.generation ? held.results : [];
  }

  isProbed(policy: Chosen, place: ProbeTarget): boolean {
    return policy.probes.some((request) => {
      if (request.expect !== 'deny') return false;
      const target = this.#targetOf(request);
      if (target !== null && triedAs(policy, request, target) === triedAs(policy, request, place))
        return true;
      return this.#tried.has(triedAs(policy, request, place));
    });
  }

  async run(policies: readonly Chosen[]): Promise<void> {
    for (const policy of policies) if (policy.probes.length > 0) await this.#runPolicy(policy);
  }

  async #runPolicy(policy: Chosen): Promise<void> {
    const spec = this.#options.specs.get(policy.digest);
    if (spec === null) return;
    const results: ProbeResult[] = [];
    for (const workload of selectedBy(spec, this.#options.workloads))
      for (const request of policy.probes) results.push(await this.#runOne(policy, workload, request));
    this.#results.set(targetKey(policy.kind, policy.name), { generation: policy.generation, results });
  }

  async #runOne(policy: Chosen, workload: Workload, request: ProbeRequest): Promise<ProbeResult> {
    const target = this.#targetOf(request);
    if (target !== null && request.expect === 'deny') this.#note(triedAs(policy, request, target));
    // In audit an allow probe connects whatever the policy says of it: only the counter tells.
    const before = await this.#probeDenies(policy);
    const meeting: ProbeMeeting =
      target === null
        ? {
            outcome: 'unable',
            control: 'unable',
            detail: `no address is known for ${request.to}`.slice(0, 200),
          }
        : await this.#options.prober.probe(workload, target);
    const after = await this.#probeDenies(policy);
    return {
      name: request.name,
      workload: workload.name,
      expect: request.expect,
      ...meeting,
      denyMoved: before !== null && after !== null && after > before,
      atMs: Math.max(0, Math.round(this.#options.clock.nowMs())),
    };
  }

  /** Null when the generation in force is another one. */
  async #probeDenies({ kind, name, generation }: Chosen): Promise<number | null> {
    const observed = await this.#options.observe();
    const seen = observed?.policies.find((one) => one.kind === kind && one.name === name);
    return seen?.generation === generation ? seen.probeDenies : null;
  }

  #note(tried: string): void {
    this.#tried.delete(tried);
    this.#tried.add(tried);
    for (const oldest of this.#tried) {
      if (this.#tried.size <= MAX_TRIED) return;
      this.#tried.delete(oldest);
    }
  }

  #targetOf({ to }: ProbeRequest): ProbeTarget | null {
    const parsed = parsePeer(to);
    if (!parsed.ok) return null;
    const { destination } = parsed;
    const [ports] = destination.ports;
    const address =
      destination.kind === 'name'
        ? newest(this.#options.names.known().get(destination.host) ?? [])
        : destination.cidr.split('/')[0];
    if (ports === undefined || address === undefined) return null;
    return { address, port: ports.from, protocol: ports.protocol };
  }
}

/** What an answer gave last; of IPv4 where there is any, which more sites have a way to. */
function newest(addresses: readonly string[]): string | undefined {
  return addresses.findLast((address) => !address.includes(':')) ?? addresses.at(-1);
}

function triedAs(
  { kind, name }: Chosen,
  { to }: ProbeRequest,
  { address, port, protocol }: ProbeTarget,
): string {
  return `${kind}/${name} ${to} ${address} ${port} ${protocol}`;
}
