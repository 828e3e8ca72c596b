import { EnforcerError, type Observed, type Wanted } from '../../../core/ports/enforcer.ts';
import { createModelledDataplane } from '../../../simulator/policy/dataplane.ts';
import type { Attempt, ModelledDataplane } from '../../../simulator/policy/modelled.ts';

type Damage = 'flushed' | 'unhooked' | 'shadowed' | 'emptied' | 'deny-gone';
type Counters = {
  denies: number;
  probeDenies: number;
  rules: Map<string, [hits: number, probeHits: number]>;
};

/** How the read-back of the real dataplane words it: test/core/dataplane holds it to finding each of these. */
const SEEN: Readonly<Record<Damage, string>> = {
  flushed: 'table inet plumbline is not there',
  unhooked: 'chain output has no hook',
  shadowed: 'chain output has a rule that was not applied, before ours',
  emptied: 'set n4_0 lacks addresses',
  'deny-gone': 'the last rule of a chain is not there',
};

type Faults = {
  refuses: 'rejected' | 'busy' | null;
  unreadable: boolean;
  hangs: boolean;
  frozen: boolean;
  otherGeneration: boolean;
  /** A rule whose counter can't be read. */
  lacks: string | null;
  full: boolean;
  /** Somebody else's rules, before or after ours. */
  foreign: { rejects: (attempt: Attempt) => boolean } | null;
};

/** The modelled dataplane, and what somebody does to it. What is applied anew is whole again. */
export class SabotagedPlane implements ModelledDataplane {
  readonly dataplane = 'simulated';
  readonly faults: Faults = {
    refuses: null,
    unreadable: false,
    hangs: false,
    frozen: false,
    otherGeneration: false,
    lacks: null,
    full: false,
    foreign: null,
  };
  readonly #inner = createModelledDataplane();
  #damage: Damage | null = null;
  #isHidden = false;
  #wanted: Wanted | null = null;
  #base = new Map<string, Counters>();
  #frozen: Observed['policies'] | null = null;

  start = () => this.#inner.start();
  stop = () => this.#inner.stop();
  hold = () => this.#inner.hold();
  putBack = () => this.#inner.putBack();
  withdraw = () => this.#inner.withdraw();
  learn = (host: string, addresses: readonly string[], keepS: number) =>
    this.#damage === 'emptied' ? Promise.resolve() : this.#inner.learn(host, addresses, keepS);

  async apply(wanted: Wanted): Promise<void> {
    const { refuses } = this.faults;
    if (refuses !== null) throw new EnforcerError(refuses, 'not now (simulated)');
    this.#wanted = wanted;
    const before = new Set((await this.#inner.observe()).policies.map(keyOf));
    await this.#inner.apply(wanted);
    for (const { name, generation } of wanted.policies)
      if (!before.has(keyOf({ name, generation }))) this.#base.delete(keyOf({ name, generation }));
    this.#damage = null;
  }

  async observe(): Promise<Observed> {
    if (this.faults.unreadable) throw new EnforcerError('busy', 'it does not answer (simulated)');
    if (this.faults.hangs) return new Promise(() => undefined);
    const observed = await this.#inner.observe();
    const counted = this.#damage === 'flushed' ? [] : observed.policies.map((policy) => this.#less(policy));
    if (this.faults.frozen) this.#frozen ??= counted;
    const policies = (this.#frozen ?? counted).map((policy) => ({
      ...policy,
      generation: policy.generation - Number(this.faults.otherGeneration),
      rules: policy.rules.filter(({ rule }) => rule !== this.faults.lacks),
    }));
    const damage = this.#damage === null || this.#isHidden ? [] : [SEEN[this.#damage]];
    return {
      ...observed,
      policies,
      differences: [...observed.differences, ...damage],
      fullSets: this.faults.full ? [...observed.fullSets, 'd_0'] : observed.fullSets,
    };
  }

  attempt(attempt: Attempt): 'allowed' | 'denied' {
    if (this.faults.foreign?.rejects(attempt) === true) return 'denied';
    if (this.#damage === 'flushed' || this.#damage === 'unhooked' || this.#damage === 'shadowed')
      return 'allowed';
    if (this.#damage === 'deny-gone') {
      const decided = this.#inner.attempt({ ...attempt, count: 0 });
      return decided === 'denied' ? 'allowed' : this.#inner.attempt(attempt);
    }
    return this.#inner.attempt(attempt);
  }

  async sabotage(damage: Damage, isHidden = false): Promise<void> {
    this.#damage = damage;
    this.#isHidden = isHidden;
    if (damage === 'flushed') await this.resetCounters();
    if (damage === 'emptied' && this.#wanted !== null)
      await this.#inner.apply({ ...this.#wanted, names: new Map() });
  }

  async resetCounters(): Promise<void> {
    for (const policy of (await this.#inner.observe()).policies) {
      const rules: Counters['rules'] = new Map();
      for (const { rule, hits, probeHits } of policy.rules) rules.set(rule, [hits, probeHits]);
      const { denies, probeDenies } = policy;
      this.#base.set(keyOf(policy), { denies, probeDenies, rules });
    }
  }

  #less(policy: Observed['policies'][number]): Observed['policies'][number] {
    const base = this.#base.get(keyOf(policy));
    if (base === undefined) return policy;
    return {
      ...policy,
      denies: policy.denies - base.denies,
      probeDenies: policy.probeDenies - base.probeDenies,
      rules: policy.rules.map(({ rule, hits, probeHits }) => {
        const [baseHits, baseProbeHits] = base.rules.get(rule) ?? [0, 0];
        return { rule, hits: hits - baseHits, probeHits: probeHits - baseProbeHits };
      }),
    };
  }
}

function keyOf({ name, generation }: { name: string; generation: number }): string {
  return `${name}/${generation}`;
}
