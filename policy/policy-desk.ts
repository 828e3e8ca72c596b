import type { Hearing } from '../core/freshness.ts';
import type { Keyring } from '../core/policy/sign.ts';
import { verifyStage } from '../core/policy/verify.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { Logger } from '../core/ports/logger.ts';
import type { Metrics } from '../core/ports/metrics.ts';
import type { Store } from '../core/ports/store.ts';
import type { Table } from '../core/ports/table.ts';
import type { Authority } from './authority.ts';
import { Evaluation, type Evidence } from './evaluation.ts';
import { Latecomers } from './latecomers.ts';
import { lossWhy, lostPolicies, unreadableOfPolicy } from './losses.ts';
import type { PolicyFacts } from './policy-facts.ts';
import type { Change, Registry } from './registry.ts';
import { Rollouts } from './rollouts.ts';
import { SeenVersions } from './seen-versions.ts';
import { Publisher } from './signing/publisher.ts';
import type { SiteStates } from './site-states.ts';

export type PolicyDeskOptions = {
  table: Table;
  store: Store;
  registry: Registry;
  authority: Authority;
  states: SiteStates;
  keyring: Keyring;
  evidence: Evidence;
  clock: Clock;
  hearing: () => Hearing;
  logger: Logger;
  metrics: Metrics;
};

/** Control's part in policy: what is signed and published, the rollouts on their way, and when neither may go on. */
export class PolicyDesk {
  readonly #given: PolicyDeskOptions;
  readonly #publisher: Publisher;
  readonly #rollouts: Rollouts;
  readonly #latecomers: Latecomers;
  readonly #seen = new SeenVersions();
  readonly #showHeld: (value: number) => void;
  #wasHeld = false;

  constructor(given: PolicyDeskOptions) {
    this.#given = given;
    const isHeld = () => this.#ahead() !== null || this.#loss() !== null;
    this.#publisher = new Publisher({ ...given, isHeld });
    const evaluation = new Evaluation({ ...given, verify: verifyStage, publisher: this.#publisher });
    this.#rollouts = new Rollouts({ ...given, evaluation, publisher: this.#publisher });
    this.#latecomers = new Latecomers({ ...given, evaluation });
    this.#showHeld = given.metrics.gauge(
      'plumbline_policy_read_only',
      'Whether policy is read-only, because sites are ahead of this hub, or its key or something that it decided is missing.',
    );
  }

  /** Takes up what is published, and finishes what an owner before was about to. Rejects when table or store is away. */
  async begin(): Promise<void> {
    const { table } = this.#given;
    for (const name of ['specs', 'targets'] as const) {
      const view = await table.view(name);
      this.#publisher.load(view);
      await view.close();
    }
    this.#look();
    await this.#publisher.settle();
    await this.#rollouts.begin();
  }

  /** What commands depend on besides the registry. */
  get facts(): PolicyFacts {
    return {
      readOnly: () => this.#readOnly(),
      published: (kind, name) => {
        const { documents } = this.#publisher;
        const target = documents.target(kind, name)?.body;
        const generation = Math.max(
          documents.generations(kind, name).at(-1) ?? 0,
          target?.lastGeneration ?? 0,
        );
        return target === undefined && generation === 0
          ? null
          : { version: target?.version ?? { epoch: 1, n: 0 }, generation };
      },
      reported: () => this.#seen.generations(),
      highestEpoch: () => Math.max(this.#ownEpoch(), this.#seen.highestEpoch()),
      unknown: () => this.#unknown(),
      unreadable: () => unreadableOfPolicy(this.#given.registry),
      kindOf: (site) => this.#given.states.all.get(site)?.kind ?? null,
    };
  }

  /** Publishes what durable changes ask for. */
  async follow(changes: readonly Change[]): Promise<void> {
    this.#publisher.note(changes);
    await this.#publisher.settle();
  }

  async tick(_nowMs: number): Promise<void> {
    this.#look();
    await this.#publisher.settle();
    if (this.#readOnly() !== null) return;
    await this.#rollouts.tick();
  }

  /** Beside the ticks, because it takes long: evaluations that are due. */
  async evaluate(): Promise<void> {
    if (this.#readOnly() !== null) return;
    await this.#rollouts.evaluate();
  }

  /** Beside those, since nobody waits for it: verdicts on sites that came when their stage was over. */
  async followUp(): Promise<void> {
    if (this.#readOnly() !== null) return;
    await this.#latecomers.tick();
  }

  #look(): void {
    const { registry, states, logger } = this.#given;
    for (const claim of this.#seen.take(registry.sites, states.all, this.#ownEpoch()))
      logger.error(claim, 'policy.claim_implausible');
    const why = this.#readOnly();
    this.#showHeld(Number(why !== null));
    if (why !== null && !this.#wasHeld) logger.error({ why }, 'policy.read_only');
    this.#wasHeld = why !== null;
  }

  #ahead() {
    return this.#seen.ahead(this.#given.registry, this.#publisher.documents);
  }

  #loss() {
    return lossWhy(this.#given.registry, this.#publisher.documents);
  }

  #ownEpoch(): number {
    const { documents } = this.#publisher;
    const decided = this.#given.registry.issuer?.spec.epoch ?? 1;
    const published = [...documents.targets(), ...documents.sites()].map(({ version }) => version.epoch);
    return published.reduce((a, b) => Math.max(a, b), decided);
  }

  #unknown(): string[] {
    const { registry } = this.#given;
    const { documents } = this.#publisher;
    return [
      ...new Set([...lostPolicies(registry, documents), ...this.#seen.unknown(registry, documents)]),
    ].sort();
  }

  #readOnly(): string | null {
    if (this.#publisher.isKeyLost)
      return 'the key that sites trust is not in the data directory of this hub; restore its policy.key from a backup';
    const ahead = this.#ahead();
    if (ahead === null) return this.#loss();
    const { kind, name, site, version, own } = ahead;
    const knows = own === null ? 'this hub knows none of that name' : `this hub is at ${own.epoch}.${own.n}`;
    return `site ${site} has seen target ${version.epoch}.${version.n} of ${kind} ${name}, and ${knows}: it looks restored from a backup. Nothing of policy is changed until \`plumbline restore\` says that what this hub has counts; what sites enforce stays in force meanwhile. A site that only claims it is to be deleted`;
  }
}
