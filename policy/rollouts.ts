import { isDeepStrictEqual } from 'node:util';
import { freshness, type Hearing } from '../core/freshness.ts';
import type { FleetEvent } from '../core/model/event.ts';
import type { Rollout } from '../core/model/rollout.ts';
import type { StageVerdict } from '../core/policy/evidence.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { Logger } from '../core/ports/logger.ts';
import type { Metrics } from '../core/ports/metrics.ts';
import { type Store, StoreError } from '../core/ports/store.ts';
import type { Authority } from './authority.ts';
import { stamp } from './commands/outcome.ts';
import type { Evaluation } from './evaluation.ts';
import { eventRow } from './event-row.ts';
import { SETTLED_AFTER_MS } from './evidence/evidence.ts';
import { guardsAt, minSoakMs } from './guard-of.ts';
import type { Registry } from './registry.ts';
import { isOnItsWay, type RolloutSpec, stageOf, withStage } from './rollout/assigned.ts';
import { supportedMembers } from './rollout/members.ts';
import { showsFail, standingOf } from './rollout/standing.ts';
import { type Seen, step } from './rollout/step.ts';
import { eventsOf } from './rollout/told.ts';
import type { Publisher } from './signing/publisher.ts';
import type { SiteStates } from './site-states.ts';

/** A stage is not looked at more often than this, however short its sites' intervals are. */
const LEAST_BETWEEN_MS = 1_000;
/** Evaluating may take an eleventh of the time, unless a site shows a fail. */
const REST_FACTOR = 10;
/** How long what a site shows may take to be found in the store. */
const RUSH_MS = 2 * SETTLED_AFTER_MS;
const DEFAULT_INTERVAL_MS = 10_000;
/** Figures that moved and decide nothing are written this often. */
const SHOW_EVERY_MS = 5_000;

export type RolloutsOptions = {
  store: Store;
  registry: Registry;
  authority: Authority;
  publisher: Publisher;
  states: SiteStates;
  evaluation: Evaluation;
  clock: Clock;
  hearing: () => Hearing;
  logger: Logger;
  metrics: Metrics;
};

/**
 * Moves every rollout that is on its way, once a tick, from what is: what its sites say now, and what the rows say of them.
 * The order is evidence recorded, decision durable, documents published, event told; cut off anywhere, the next owner goes
 * on from the decision.
 */
export class Rollouts {
  readonly #given: RolloutsOptions;
  readonly #failed: (labels: Record<string, string>) => void;
  readonly #evaluated: (valueS: number) => void;
  /** By rollout, when its stage was evaluated last, how many sites showed a fail then, and until when that hurries. */
  readonly #looked = new Map<
    string,
    { stageKey: string; atMs: number; restMs: number; showed: number; rushUntilMs: number }
  >();

  /** Events of decisions that are durable, and that are not in the store yet. */
  #untold: FleetEvent[] = [];

  constructor(given: RolloutsOptions) {
    this.#given = given;
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
    this.#untold = [...this.#given.registry.rollouts.values()].flatMap(({ spec }) => spec.events);
    await this.#tell();
  }

  async #tell(): Promise<void> {
    if (this.#untold.length === 0) return;
    await this.#given.store.insert('event', this.#untold.map(eventRow));
    this.#untold = [];
  }

  async tick(nowMs: number): Promise<void> {
    const { registry, hearing } = this.#given;
    for (const name of this.#looked.keys()) if (!registry.rollouts.has(name)) this.#looked.delete(name);
    // What sites say now is not known while reports still wait to be read.
    if (!hearing().caughtUp) return;
    // First what was decided: nothing else is as long as that can't be told, so that no owner after this one misses it.
    if (!(await this.#attempt('', () => this.#tell()))) return;
    for (const { metadata, spec } of [...registry.rollouts.values()]) {
      if (!isOnItsWay(spec) || stageOf(spec).status.phase === 'failed') continue;
      await this.#attempt(metadata.name, () => this.#move(metadata.name, spec, nowMs));
    }
  }

  /** False when the store is away, and it is due again. */
  async #attempt(rollout: string, work: () => Promise<void>): Promise<boolean> {
    try {
      await work();
      return true;
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      this.#failed({ part: 'rollout' });
      const { code, message } = error;
      this.#given.logger.warn({ rollout, code, message }, 'rollout.waits');
      return false;
    }
  }

  async #move(name: string, spec: RolloutSpec, nowMs: number): Promise<void> {
    const { registry, authority, publisher } = this.#given;
    const seen = await this.#look(name, spec, nowMs);
    const done: { after: Rollout | null; told: FleetEvent[] } = { after: null, told: [] };
    const written = await authority.decide(() => {
      const before = registry.rollout(name);
      // Somebody moved it meanwhile: what was seen was of another stage.
      if (before === undefined || stageKeyOf(before.spec) !== stageKeyOf(spec)) return [];
      // A pass may go unrecorded while it waits; resumed in between, the next one counts.
      if (before.spec.phase !== spec.phase && seen.verdict?.verdict === 'pass') return [];
      const stepped = step(before.spec, seen, nowMs);
      const events = eventsOf(stepped.told, before.spec, nowMs);
      const after = events.length > 0 ? { ...stepped.spec, events } : stepped.spec;
      if (!isWorthWriting(before.spec, after, nowMs)) return [];
      const metadata = stamp(name, { id: name, by: 'control', nowMs }, before.metadata);
      done.after = { ...before, metadata, spec: after };
      done.told = events;
      return [{ put: done.after }];
    });
    if (written !== 'written' || done.after === null) return;
    this.#untold.push(...done.told);
    publisher.note([{ put: done.after }]);
    await publisher.settle();
    await this.#tell();
  }

  async #look(name: string, spec: RolloutSpec, nowMs: number): Promise<Seen> {
    const { registry, states, hearing, evaluation, clock } = this.#given;
    const { status } = stageOf(spec);
    const members = supportedMembers(spec, registry, states);
    const sites = members.map((site) => {
      const state = states.all.get(site);
      const offlineToleranceMs = registry.site(site)?.spec.offlineToleranceMs;
      const judged = { state: state ?? null, registeredAtMs: null, offlineToleranceMs };
      return standingOf(site, state, freshness(judged, hearing(), nowMs) === 'heard', spec);
    });
    const soakMs = minSoakMs(guardsAt(status.virtualSite, registry));
    const showing = members.filter((site) => showsFail(states.all.get(site), spec)).length;
    let verdict: StageVerdict | null = null;
    if (members.length > 0 && this.#isDue(name, spec, members, showing, nowMs)) {
      const startedMs = clock.monoMs();
      verdict = await evaluation.evaluate(spec, members, soakMs, nowMs);
      const tookMs = clock.monoMs() - startedMs;
      this.#evaluated(tookMs / 1000);
      this.#note(name, { stageKey: stageKeyOf(spec), showing, nowMs, restMs: REST_FACTOR * tookMs });
    }
    return { sites, verdict, minSoakMs: soakMs };
  }

  #note(
    name: string,
    {
      stageKey,
      showing,
      nowMs,
      restMs,
    }: Record<'showing' | 'nowMs' | 'restMs', number> & { stageKey: string },
  ): void {
    const last = this.#looked.get(name);
    const same = last?.stageKey === stageKey ? last : undefined;
    const isMore = showing > (same?.showed ?? 0);
    const rushUntilMs = isMore ? nowMs + RUSH_MS : (same?.rushUntilMs ?? 0);
    this.#looked.set(name, { stageKey, atMs: nowMs, restMs, showed: showing, rushUntilMs });
  }

  /** Once an interval of the stage's sites, or as seldom as it is dear, and at once when one more of them shows a fail, until it is in the store. */
  #isDue(
    name: string,
    spec: RolloutSpec,
    members: readonly string[],
    showing: number,
    nowMs: number,
  ): boolean {
    const last = this.#looked.get(name);
    if (last === undefined || last.stageKey !== stageKeyOf(spec)) return true;
    const sinceMs = nowMs - last.atMs;
    if (sinceMs < LEAST_BETWEEN_MS) return sinceMs < 0;
    if (showing > last.showed || nowMs <= last.rushUntilMs) return true;
    const { states } = this.#given;
    const intervalMs = members.reduce(
      (least, site) => Math.min(least, states.all.get(site)?.intervalMs ?? DEFAULT_INTERVAL_MS),
      DEFAULT_INTERVAL_MS,
    );
    return sinceMs >= Math.max(intervalMs, last.restMs);
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
