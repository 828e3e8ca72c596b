import type { Hearing } from '../core/freshness.ts';
import { KEYS_KEY, type TargetBody } from '../core/model/signed.ts';
import type { Keyring } from '../core/policy/sign.ts';
import { verifyStage } from '../core/policy/verify.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { Logger } from '../core/ports/logger.ts';
import type { Metrics } from '../core/ports/metrics.ts';
import type { Store } from '../core/ports/store.ts';
import type { Table } from '../core/ports/table.ts';
import type { Authority } from './authority.ts';
import { Evaluation, type Evidence } from './evaluation.ts';
import { keyTrust, NOBODY_DISTRUSTS } from './key-trust.ts';
import { Latecomers } from './latecomers.ts';
import { type Hold, lossHold, lostPolicies, unreadableOfPolicy } from './losses.ts';
import type { PolicyFacts, PublishedPolicy } from './policy-facts.ts';
import type { Change, Registry } from './registry.ts';
import { Rollouts } from './rollouts.ts';
import { SeenVersions, versionText } from './seen-versions.ts';
import { Publisher } from './signing/publisher.ts';
import type { SiteStates } from './site-states.ts';
import { troublesOf } from './trouble-words.ts';
import type { Troubles } from './troubles.ts';

export type PolicyDeskOptions = {
  table: Table;
  store: Store;
  registry: Registry;
  authority: Authority;
  states: SiteStates;
  troubles: Troubles;
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
  readonly #showDistrust: (value: number) => void;
  #trust = NOBODY_DISTRUSTS;
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
    this.#showDistrust = given.metrics.gauge(
      'plumbline_sites_distrusting_key',
      'Sites that refuse what this hub signs, since they believe other keys than it has.',
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
    this.#look(this.#given.clock.nowMs());
    await this.#publisher.settle();
    await this.#rollouts.begin();
  }

  /** What commands depend on besides the registry. */
  get facts(): PolicyFacts {
    return {
      readOnly: () => {
        const hold = this.#hold();
        return hold === null ? null : `${hold.detail}. ${STAYS}: ${hold.remedy}`;
      },
      distrust: () => this.#trust,
      published: (kind, name) => {
        const { documents } = this.#publisher;
        const target = documents.target(kind, name)?.body;
        const generation = Math.max(
          documents.generations(kind, name).at(-1) ?? 0,
          target?.lastGeneration ?? 0,
        );
        return target === undefined && generation === 0
          ? null
          : { version: target?.version ?? { epoch: 1, n: 0 }, generation, current: currentOf(target) };
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

  async tick(nowMs: number): Promise<void> {
    this.#look(nowMs);
    await this.#publisher.settle();
    if (this.#hold() !== null) return;
    await this.#rollouts.tick();
  }

  /** Beside the ticks, because it takes long: evaluations that are due. */
  async evaluate(): Promise<void> {
    if (this.#hold() !== null) return;
    await this.#rollouts.evaluate();
  }

  /** Beside those, since nobody waits for it: verdicts on sites that came when their stage was over. */
  async followUp(): Promise<void> {
    if (this.#hold() !== null) return;
    await this.#latecomers.tick();
  }

  #look(nowMs: number): void {
    const { registry, states, troubles, logger } = this.#given;
    const { documents, keyIds } = this.#publisher;
    this.#seen.take(registry.sites, states.all, documents, this.#ownEpoch());
    const body = documents.get(KEYS_KEY)?.body;
    const version = body?.type === 'keys' ? body.version : null;
    this.#trust = keyTrust(registry.sites, states.all, { ids: keyIds, version });
    const hold = this.#hold();
    const { claims } = this.#seen;
    troubles.find(troublesOf({ hold, trust: this.#trust, claims }), claims, nowMs);
    this.#showHeld(Number(hold !== null));
    this.#showDistrust(this.#trust.distrusting.length);
    if (hold !== null && !this.#wasHeld) logger.error(hold, 'policy.read_only');
    this.#wasHeld = hold !== null;
  }

  #ahead() {
    return this.#seen.ahead(this.#given.registry, this.#publisher.documents);
  }

  #loss() {
    return lossHold(this.#given.registry, this.#publisher.documents);
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

  #hold(): Hold | null {
    if (this.#publisher.isKeyLost)
      return {
        detail: 'the key that sites trust is not in the data directory of this hub',
        remedy: 'put the newest policy.key back into it, from where it is kept apart from the tables',
      };
    const ahead = this.#ahead();
    if (ahead === null) return this.#loss();
    const { site, saw, own } = ahead;
    const knows = own === null ? 'this hub knows none of that name' : `this hub is at ${versionText(own)}`;
    return {
      detail: `site ${site} has seen ${saw}, and ${knows}: its tables look restored from a backup`,
      remedy:
        '`plumbline restore` says that what this hub has counts; a site that only claims it is to be deleted',
    };
  }
}

const STAYS = 'Nothing of policy is changed meanwhile, and what sites enforce stays in force';

function currentOf(target: TargetBody | undefined): PublishedPolicy['current'] {
  return (target?.assignments ?? []).flatMap(({ virtualSite, current }) =>
    current === null ? [] : [{ virtualSite, assigned: current }],
  );
}
