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
import { type Hold, leewayOf, lossHolds, lostPolicies, unreadableOfPolicy } from './losses.ts';
import type { PolicyFacts, PublishedPolicy } from './policy-facts.ts';
import type { Change, Registry } from './registry.ts';
import { Rollouts } from './rollouts.ts';
import { type Ahead, SeenVersions, versionText } from './seen-versions.ts';
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
  /** Why policy is read-only, what is to be told first in front; all but the key's are the tables'. */
  #holds: readonly Hold[] = [];
  #tableHolds: readonly Hold[] = [];
  #wasHeld = false;

  constructor(given: PolicyDeskOptions) {
    this.#given = given;
    this.#publisher = new Publisher({ ...given, leeway: () => leewayOf(this.#tableHolds) });
    const evaluation = new Evaluation({ ...given, verify: verifyStage, publisher: this.#publisher });
    const leeway = () => leewayOf(this.#holds);
    this.#rollouts = new Rollouts({ ...given, evaluation, publisher: this.#publisher, leeway });
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
    this.#weigh();
    await this.#rollouts.begin();
  }

  /** What commands depend on besides the registry. */
  get facts(): PolicyFacts {
    return {
      holds: () => this.#holds,
      distrust: () => this.#trust,
      published: (kind, name) => {
        const { documents } = this.#publisher;
        const target = documents.target(kind, name)?.body;
        const generation = documents.newestGeneration(kind, name);
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
    this.#weigh();
    await this.#publisher.settle();
  }

  async tick(nowMs: number): Promise<void> {
    this.#look(nowMs);
    await this.#publisher.settle();
    if (leewayOf(this.#holds) === 'none') return;
    await this.#rollouts.tick();
  }

  /** Beside the ticks, because it takes long: evaluations that are due. */
  async evaluate(): Promise<void> {
    if (leewayOf(this.#holds) === 'none') return;
    await this.#rollouts.evaluate();
  }

  /** Beside those, since nobody waits for it: verdicts on sites that came when their stage was over. */
  async followUp(): Promise<void> {
    if (this.#holds.length > 0) return;
    await this.#latecomers.tick();
  }

  #look(nowMs: number): void {
    const { registry, states, troubles, logger } = this.#given;
    const { documents, keyIds } = this.#publisher;
    this.#seen.take(registry.sites, states.all, documents, this.#ownEpoch());
    const body = documents.get(KEYS_KEY)?.body;
    const version = body?.type === 'keys' ? body.version : null;
    this.#trust = keyTrust(registry.sites, states.all, { ids: keyIds, version });
    this.#weigh();
    const hold = this.#holds[0] ?? null;
    const { claims } = this.#seen;
    troubles.find(troublesOf({ hold, trust: this.#trust, claims }), claims, nowMs);
    this.#showHeld(Number(hold !== null));
    this.#showDistrust(this.#trust.distrusting.length);
    if (hold !== null && !this.#wasHeld) logger.error(hold, 'policy.read_only');
    this.#wasHeld = hold !== null;
  }

  /** Anew when what it depends on has changed: what sites said, what is decided, or the key. */
  #weigh(): void {
    const { registry } = this.#given;
    const { documents, isKeyLost } = this.#publisher;
    const ahead = this.#seen.ahead(registry, documents);
    this.#tableHolds = [...(ahead === null ? [] : [aheadHold(ahead)]), ...lossHolds(registry, documents)];
    this.#holds = [...(isKeyLost ? [KEY_LOST] : []), ...this.#tableHolds];
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
}

const KEY_LOST: Hold = {
  cause: 'key',
  detail: 'the key that sites trust is not in the data directory of this hub',
  remedy: 'put the newest policy.key back into it, from where it is kept apart from the tables',
  isEndedByRestore: false,
};

function aheadHold({ site, saw, own }: Ahead): Hold {
  const knows = own === null ? 'this hub knows none of that name' : `this hub is at ${versionText(own)}`;
  return {
    cause: 'ahead',
    detail: `site ${site} has seen ${saw}, and ${knows}: its tables look restored from a backup`,
    remedy:
      '`plumbline restore` says that what this hub has counts; remove a site that only claims it (`plumbline site remove`)',
    isEndedByRestore: true,
  };
}

function currentOf(target: TargetBody | undefined): PublishedPolicy['current'] {
  return (target?.assignments ?? []).flatMap(({ virtualSite, current }) =>
    current === null ? [] : [{ virtualSite, assigned: current }],
  );
}
