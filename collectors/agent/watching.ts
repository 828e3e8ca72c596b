import type { PolicyStatus } from '../../core/model/policy-report.ts';
import { targetKey } from '../../core/model/signed.ts';
import type { Clock } from '../../core/ports/clock.ts';
import type { Connections } from '../../core/ports/connections.ts';
import { EnforcerError, type Observed } from '../../core/ports/enforcer.ts';
import type { Logger } from '../../core/ports/logger.ts';
import type { NameResolver } from '../../core/ports/name-resolver.ts';
import type { WorkloadProber } from '../../core/ports/workload-prober.ts';
import type { Dataplane } from './dataplane.ts';
import { dropRemoved, holdersOf, noteDenied } from './denied.ts';
import { createDriftWatch, type DriftWatch } from './drift.ts';
import { Established } from './established.ts';
import type { Evidence } from './evidence.ts';
import { createFlowReporter, type FlowReport } from './flows.ts';
import { createLookBack, type LookBack } from './look-back.ts';
import type { PlanWorld } from './plan.ts';
import { Probing } from './probing.ts';
import { isFull, type Remembered } from './remembered.ts';
import type { Chosen, Memory } from './state.ts';

export type WatchingOptions = {
  world: PlanWorld;
  remembered: Remembered;
  evidence: Evidence;
  dataplane: Dataplane | null;
  memory: Memory;
  names: NameResolver;
  prober: WorkloadProber;
  connections: Connections;
  clock: Clock;
  logger: Logger;
  intervalMs: number;
  probePorts: { from: number; to: number };
};

export type Seen = {
  observed: Observed | null;
  drift: readonly string[];
  established: ReadonlyMap<string, PolicyStatus['established']>;
  probing: Probing;
  flows: FlowReport;
};

type Holders = { from: readonly unknown[]; of: ReturnType<typeof holdersOf> };

const MAX_FLOWS = 64;
/** Probes and connections from before are looked at every so many intervals, and not more often than that. */
const CLOSER = { intervals: 5, leastMs: 5000 } as const;

/** What the dataplane does, as seen from outside of the changes that the agent makes to it. */
export class Watching {
  readonly #options: WatchingOptions;
  readonly #lookBack: LookBack;
  readonly #drift: DriftWatch;
  readonly #flows: ReturnType<typeof createFlowReporter>;
  readonly #probing: Probing;
  #observed: Observed | null = null;
  readonly #fromBefore = new Established();
  #established = new Map<string, PolicyStatus['established']>();
  #closerAtMonoMs = Number.NEGATIVE_INFINITY;
  #isCloser = false;
  /** Policies that were put in force since connections from before were looked at last. */
  #toCut = new Set<string>();
  #evicted = 0;
  /** What was in force since flows were taken down last; null where nobody knows. */
  #since: (readonly Chosen[])[] | null = null;
  #holders: Holders | null = null;

  constructor(options: WatchingOptions) {
    const { memory, names, clock, intervalMs, dataplane, world } = options;
    this.#options = options;
    this.#lookBack = createLookBack(memory, names.namesOf);
    this.#drift = createDriftWatch(clock, intervalMs);
    this.#flows = createFlowReporter(names.namesOf);
    const observe = async () => (await dataplane?.observe().catch(notRead)) ?? null;
    this.#probing = new Probing({ ...options, ...world, observe });
  }

  seen(): Seen {
    return {
      observed: this.#observed,
      drift: this.#drift.differences(),
      established: this.#established,
      probing: this.#probing,
      flows: this.#flows.report(this.#observed?.flows ?? [], MAX_FLOWS),
    };
  }

  /** Places that the look-back had no room for, since this was asked last. */
  lost(): number {
    const lost = this.#lookBack.evicted() - this.#evicted;
    this.#evicted += lost;
    return lost;
  }

  /** The dataplane was changed on purpose: what was seen before says nothing of it. */
  beginAnew(): void {
    this.#drift.forget();
    this.#closerAtMonoMs = Number.NEGATIVE_INFINITY;
    const { policies } = this.#options.dataplane ?? { policies: null };
    if (policies !== null) this.#since?.push(policies);
  }

  /** At the next closer look their connections from before may be cut, and at none after it. */
  cutOnce(policies: readonly Chosen[]): void {
    this.#toCut = new Set(policies.map(({ kind, name }) => targetKey(kind, name)));
    this.#closerAtMonoMs = Number.NEGATIVE_INFINITY;
  }

  forget(): void {
    this.beginAnew();
    this.#toCut = new Set();
    this.#since = null;
    this.#observed = null;
    this.#established = new Map();
  }

  /** What must be on disk before the next change. */
  settle(): void {
    const { remembered, world } = this.#options;
    dropRemoved(remembered.state, world, this.#lookBack);
    this.save(true);
  }

  save(isForced: boolean): void {
    this.#evidence.save();
    this.#lookBack.save(this.#now(), isForced);
  }

  /** Reads back, puts drift right, and takes down what the dataplane counted. */
  async look(dataplane: Dataplane): Promise<void> {
    const { remembered, logger, world } = this.#options;
    const { revision } = remembered.state;
    const { policies } = dataplane;
    // One that could not be read a moment ago, on a busy machine, is no news.
    const observed =
      (await dataplane.observe().catch(notRead)) ?? (await dataplane.observe().catch(unreadable));
    // What was read while a change was made is of neither.
    if (observed === null || policies === null || revision !== remembered.state.revision) return;
    this.#observed = observed;
    const verdict = this.#drift.found(observed.differences);
    this.#takeDown(observed, policies);
    if (verdict === 'nothing') return;
    const [first] = observed.differences;
    logger.warn({ site: world.site, verdict, first, held: this.#drift.isHeld() }, 'policy.drift');
    if (verdict === 'repair')
      await dataplane.repair().catch((error: unknown) => {
        if (!(error instanceof EnforcerError)) throw error;
        logger.warn({ site: world.site, why: error.detail }, 'policy.repair-failed');
      });
  }

  /** What takes longer than a reading may, now and then: probes, and connections from before. */
  async lookCloser(dataplane: Dataplane): Promise<void> {
    const { clock, intervalMs, remembered, world, names } = this.#options;
    const dueMs = Math.max(CLOSER.leastMs, CLOSER.intervals * intervalMs);
    const { policies } = dataplane;
    const isDue = clock.monoMs() - this.#closerAtMonoMs >= dueMs;
    if (!isDue || this.#isCloser || policies === null || remembered.state.trial !== null) return;
    this.#closerAtMonoMs = clock.monoMs();
    this.#isCloser = true;
    const toCut = this.#toCut;
    this.#toCut = new Set();
    try {
      this.#established = await this.#fromBefore.list(remembered.state.good.policies, {
        ...this.#options,
        ...world,
        namesOf: names.namesOf,
        mayCut: ({ kind, name }) => toCut.has(targetKey(kind, name)),
      });
      await this.#probing.run(remembered.state.good.policies);
    } finally {
      this.#isCloser = false;
    }
  }

  #takeDown(observed: Observed, policies: readonly Chosen[]): void {
    const { remembered, world, names, logger } = this.#options;
    const now = this.#now();
    const namesOf = names.namesOf;
    const held = this.#since === null ? null : this.#holdersSince(this.#since, policies);
    this.#lookBack.note(observed.flows, now, held);
    this.#since = [policies];
    for (const policy of policies) {
      const seen = observed.policies.find(({ kind, name }) => kind === policy.kind && name === policy.name);
      if (seen !== undefined) this.#evidence.count(policy, seen, now);
    }
    const isProbed = this.#probing.isProbed.bind(this.#probing);
    const judged = { lookBack: this.#lookBack, evidence: this.#evidence, isProbed, namesOf };
    noteDenied(remembered.state, policies, observed, { ...world, ...judged }, now);
    try {
      this.save(false);
    } catch (error) {
      // It is all counted again from the dataplane when there is room.
      if (!isFull(error)) throw error;
      logger.error({ site: world.site, why: error.message }, 'policy.memory-full');
    }
  }

  /** The same as long as nothing changes. */
  #holdersSince(since: readonly (readonly Chosen[])[], policies: readonly Chosen[]): Holders['of'] {
    const { remembered, world, names } = this.#options;
    const { good, previous } = remembered.state;
    const sets = [...new Set([...since, policies])];
    const from: unknown[] = [...sets, good.policies, previous];
    const before = this.#holders?.from ?? [];
    if (this.#holders === null || before.length !== from.length || from.some((one, i) => one !== before[i]))
      this.#holders = { from, of: holdersOf(remembered.state, sets, { ...world, namesOf: names.namesOf }) };
    return this.#holders.of;
  }

  get #evidence(): Evidence {
    return this.#options.evidence;
  }

  #now(): number {
    return Math.max(0, Math.round(this.#options.clock.nowMs()));
  }
}

function notRead(error: unknown): null {
  if (!(error instanceof EnforcerError)) throw error;
  return null;
}

/** A dataplane that can't be read is one that differs. */
function unreadable(error: unknown): Observed {
  if (!(error instanceof EnforcerError)) throw error;
  return { differences: [`it can't be read: ${error.detail}`], policies: [], flows: [], fullSets: [] };
}
