import { isDeepStrictEqual } from 'node:util';
import { freshness, type Hearing } from '../core/freshness.ts';
import type { FleetEvent } from '../core/model/event.ts';
import type { Rollout } from '../core/model/rollout.ts';
import { isOnItsWay } from '../core/policy/busy.ts';
import type { StageVerdict } from '../core/policy/evidence.ts';
import { guardsAt, minSoakMs } from '../core/policy/guards.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { Logger } from '../core/ports/logger.ts';
import type { Metrics } from '../core/ports/metrics.ts';
import { type Store, StoreError } from '../core/ports/store.ts';
import type { Authority } from './authority.ts';
import { Cadence, type Subject } from './cadence.ts';
import { stamp } from './commands/outcome.ts';
import type { Evaluation } from './evaluation.ts';
import type { Leeway } from './losses.ts';
import type { Registry } from './registry.ts';
import { type RolloutSpec, stageOf, withStage } from './rollout/assigned.ts';
import { supportedMembers } from './rollout/members.ts';
import { showsFail, standingOf } from './rollout/standing.ts';
import { type SiteStanding, step } from './rollout/step.ts';
import { eventsOf } from './rollout/told.ts';
import type { Publisher } from './signing/publisher.ts';
import type { SiteStates } from './site-states.ts';
import { Untold } from './untold.ts';

const DEFAULT_INTERVAL_MS = 10_000;
/** Figures that moved and decide nothing are written this often. */
const SHOW_EVERY_MS = 5_000;

export type RolloutsOptions = {
  store: Store;
  registry: Registry;
  authority: Authority;
  publisher: Publisher;
  leeway: () => Leeway;
  states: SiteStates;
  evaluation: Evaluation;
  clock: Clock;
  hearing: () => Hearing;
  logger: Logger;
  metrics: Metrics;
};

type OnItsWay = { name: string; spec: RolloutSpec; members: string[]; subject: Subject };

/**
 * Moves every rollout that is on its way from what is: what its sites say now, and what the rows say of them. The order is
 * evidence recorded, decision durable, documents published, event told; cut off anywhere, the next owner goes on from the
 * decision.
 *
 * Two loops share the work, each rollout in the hands of one of them at a time: `tick` does what is done at once and what
 * can't wait, `evaluate` the evaluations that are merely due, one after the other. So what fails waits for no evaluation but
 * those of others that fail.
 */
export class Rollouts {
  readonly #given: RolloutsOptions;
  readonly #failed: (labels: Record<string, string>) => void;
  readonly #evaluated: (valueS: number) => void;
  readonly #cadence = new Cadence();
  /** Of decisions that are durable. */
  readonly #untold: Untold;
  /** Rollouts that one of the loops is moving. */
  readonly #inHand = new Set<string>();

  constructor(given: RolloutsOptions) {
    this.#given = given;
    this.#untold = new Untold(given.store);
    this.#failed = given.metrics.counter(
      'plumbline_control_failures_total',
      'Parts of a tick that failed and are due again.',
      ['part'],
    );
    this.#evaluated = given.metrics.histogram(
      'plumbline_stage_evaluation_seconds',
      'Time to gather, judge and record the evidence of a stage.',
      [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    );
  }

  /** Tells again what may have been cut off. */
  async begin(): Promise<void> {
    for (const { spec } of this.#given.registry.rollouts.values()) this.#untold.add(...spec.events);
    await this.#untold.tell();
  }

  /** Moves what can be moved without its evidence, and those of which a site newly shows a fail by it. */
  async tick(): Promise<void> {
    const { registry, clock } = this.#given;
    this.#cadence.keep((name) => registry.rollouts.has(name));
    await this.#each((one) => {
      const isRushed = this.#cadence.isRushed(one.subject, clock.nowMs());
      return this.#move(one, isRushed);
    });
  }

  /** Evaluates what is due, and moves it by that. */
  async evaluate(): Promise<void> {
    const { states, clock } = this.#given;
    await this.#each(async (one) => {
      const intervalMs = () =>
        one.members.reduce(
          (least, site) => Math.min(least, states.all.get(site)?.intervalMs ?? DEFAULT_INTERVAL_MS),
          DEFAULT_INTERVAL_MS,
        );
      if (this.#cadence.isDue(one.subject, intervalMs, clock.nowMs())) await this.#move(one, true);
    });
  }

  async #each(work: (one: OnItsWay) => Promise<void>): Promise<void> {
    const { registry, hearing } = this.#given;
    // What sites say now is not known while reports still wait to be read.
    if (!hearing().caughtUp) return;
    for (const name of [...registry.rollouts.keys()]) {
      if (this.#inHand.has(name)) continue;
      this.#inHand.add(name);
      await this.#attempt(name, async () => {
        // First what was decided: nothing else is as long as that can't be told, so that no owner after this one misses it.
        await this.#untold.tell();
        const spec = registry.rollout(name)?.spec;
        if (spec === undefined || !isOnItsWay(spec) || stageOf(spec).status.phase === 'failed') return;
        await work(this.#onItsWay(name, spec));
      });
    }
  }

  #onItsWay(name: string, spec: RolloutSpec): OnItsWay {
    const { registry, states } = this.#given;
    const members = supportedMembers(spec, registry, states);
    const showing = members.filter((site) => showsFail(states.all.get(site), spec)).length;
    return { name, spec, members, subject: { rollout: name, stageKey: stageKeyOf(spec), showing } };
  }

  /** When the store is away, it is due again. */
  async #attempt(rollout: string, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      this.#failed({ part: 'rollout' });
      const { code, message } = error;
      this.#given.logger.warn({ rollout, code, message }, 'rollout.waits');
    } finally {
      this.#inHand.delete(rollout);
    }
  }

  async #move({ name, spec, members, subject }: OnItsWay, isEvaluated: boolean): Promise<void> {
    const { registry, authority, publisher, leeway, clock } = this.#given;
    const nowMs = clock.nowMs();
    const minSoak = minSoakMs(guardsAt(stageOf(spec).status.virtualSite, registry));
    const verdict =
      isEvaluated && members.length > 0 ? await this.#verdict(spec, members, subject, minSoak) : null;
    const seen = { sites: this.#standings(spec, members, nowMs), verdict, minSoakMs: minSoak };
    const done: { after: Rollout | null; told: FleetEvent[] } = { after: null, told: [] };
    const written = await authority.decide(() => {
      const before = registry.rollout(name);
      // Somebody moved it meanwhile: what was seen was of another stage.
      if (before === undefined || stageKeyOf(before.spec) !== stageKeyOf(spec)) return [];
      // A pass may go unrecorded while it waits; resumed in between, the next one counts.
      if (before.spec.phase !== spec.phase && seen.verdict?.verdict === 'pass') return [];
      const mayGoOn = leeway() === 'all';
      const stepped = step(before.spec, { ...seen, mayGoOn }, nowMs);
      if (!mayGoOn && (leeway() === 'none' || stepped.told.length === 0)) return [];
      const events = eventsOf(stepped.told, before.spec, nowMs);
      const after = events.length > 0 ? { ...stepped.spec, events } : stepped.spec;
      if (!isWorthWriting(before.spec, after, nowMs)) return [];
      const metadata = stamp(name, { id: name, by: 'control', nowMs }, before.metadata);
      done.after = { ...before, metadata, spec: after };
      done.told = events;
      return [{ put: done.after }];
    });
    if (written !== 'written' || done.after === null) return;
    this.#untold.add(...done.told);
    publisher.note([{ put: done.after }]);
    await publisher.settle();
    await this.#untold.tell();
  }

  #standings(spec: RolloutSpec, members: readonly string[], nowMs: number): SiteStanding[] {
    const { registry, states, hearing } = this.#given;
    return members.map((site) => {
      const state = states.all.get(site);
      const offlineToleranceMs = registry.site(site)?.spec.offlineToleranceMs;
      const judged = { state: state ?? null, registeredAtMs: null, offlineToleranceMs };
      return standingOf(site, state, freshness(judged, hearing(), nowMs) === 'heard', spec);
    });
  }

  async #verdict(
    spec: RolloutSpec,
    members: string[],
    subject: Subject,
    minSoak: number,
  ): Promise<StageVerdict | null> {
    const { evaluation, clock } = this.#given;
    const nowMs = clock.nowMs();
    const startedMs = clock.monoMs();
    const verdict = await evaluation.evaluate(spec, members, minSoak, nowMs);
    const tookMs = clock.monoMs() - startedMs;
    this.#evaluated(tookMs / 1000);
    this.#cadence.note(subject, tookMs, nowMs);
    return verdict;
  }
}

/** Which stage of which rollout it is: another one when a person or a newer generation began something else. */
function stageKeyOf(spec: RolloutSpec): string {
  const { status } = stageOf(spec);
  return `${spec.generation}/${spec.stage}/${status.startedAtMs}/${status.phase === 'rolled-back'}/${spec.version.epoch}`;
}

function isWorthWriting(before: RolloutSpec, after: RolloutSpec, nowMs: number): boolean {
  const shownAtMs = stageOf(before).status.evaluatedAtMs ?? 0;
  const isOld = nowMs - shownAtMs >= SHOW_EVERY_MS || nowMs < shownAtMs;
  if (isOld) return !isDeepStrictEqual(before, after);
  return !isDeepStrictEqual(withoutFigures(before), withoutFigures(after));
}

function withoutFigures(spec: RolloutSpec): RolloutSpec {
  const { status } = stageOf(spec);
  const { counts } = status;
  return withStage(spec, {
    ...status,
    hits: 0,
    evaluatedAtMs: null,
    counts: { ...counts, sites: 0, applied: 0 },
  });
}
