import type { Hearing } from '../core/freshness.ts';
import type { FleetEvent } from '../core/model/event.ts';
import { rolloutName } from '../core/model/rollout.ts';
import type { SiteVerdict } from '../core/policy/evidence.ts';
import { guardsAt, minSoakMs } from '../core/policy/guards.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { Logger } from '../core/ports/logger.ts';
import type { Metrics } from '../core/ports/metrics.ts';
import { type Store, StoreError } from '../core/ports/store.ts';
import type { Authority } from './authority.ts';
import { stamp } from './commands/outcome.ts';
import type { Evaluation, Evidence, Recorded } from './evaluation.ts';
import { SETTLED_AFTER_MS, stageKey } from './evidence/evidence.ts';
import type { Settled } from './evidence/late.ts';
import type { Registry } from './registry.ts';
import { type RolloutSpec, stageOf } from './rollout/assigned.ts';
import { supportedMembers } from './rollout/members.ts';
import { promotedStages, rangeStart, shows, triedAgainAtMs, withLate } from './rollout/promoted.ts';
import { hasMet, standingOf } from './rollout/standing.ts';
import { nameOf, severityOf } from './rollout/told.ts';
import type { SiteStates } from './site-states.ts';
import { Untold } from './untold.ts';

const LEAST_BETWEEN_MS = 1_000;
const DEFAULT_INTERVAL_MS = 10_000;
/** Looking may take a twentieth of the time, however many sites stay without proof and for however long. */
const REST_FACTOR = 20;
/** Ranges asked about in one look; the others have the next ones. */
const RANGES_A_LOOK = 4;
const NO_BOUND = 100;
const RENEWED_AFTER_MS = 60_000;
/** What a range does not get rid of again, so that the site is observed anew. */
const BLEMISHES: ReadonlySet<string> = new Set([
  'gap',
  'quarantined',
  'restarted',
  'lost-observations',
  'counter-reset',
  'counter-decreased',
  'set-full',
  'clock-off',
  'was-not-live',
]);

type LatecomersOptions = {
  store: Store;
  registry: Registry;
  authority: Authority;
  states: SiteStates;
  evaluation: Evaluation;
  evidence: Pick<Evidence, 'settled' | 'firstSeen'>;
  clock: Clock;
  hearing: () => Hearing;
  logger: Logger;
  metrics: Metrics;
};

/** Sites that are observed from the same time on. */
type Range = { sinceMs: number; sites: Set<string>; askedAtMs: number; recorded: Recorded | null };
type Stage = {
  settled: Map<string, Settled>;
  /** By when they begin. */
  ranges: Map<number, Range>;
  untold: Untold;
  /** Of the monotonic clock. */
  nextLookMonoMs: number;
};

/**
 * Gives verdicts on sites that a promoted stage has none of: those that joined its virtual site later, were offline, or were
 * without proof when it passed. Their verdict is filed under that stage; a fail is told, and takes nothing from the others.
 * Who has a verdict that settles it is not asked again; verdicts of an owner before are read back once.
 */
export class Latecomers {
  readonly #given: LatecomersOptions;
  readonly #failed: (labels: Record<string, string>) => void;
  readonly #stages = new Map<string, Stage>();

  constructor(given: LatecomersOptions) {
    this.#given = given;
    this.#failed = given.metrics.counter(
      'plumbline_control_failures_total',
      'Parts of a tick that failed and are due again.',
      ['part'],
    );
  }

  async tick(): Promise<void> {
    const { registry, hearing, logger, clock } = this.#given;
    if (!hearing().caughtUp) return;
    const promoted = [...registry.rollouts.values()].flatMap(({ spec }) => promotedStages(spec));
    const keys = new Set(promoted.map(keyOf));
    for (const key of this.#stages.keys()) if (!keys.has(key)) this.#stages.delete(key);
    for (const spec of promoted) {
      try {
        await this.#look(spec, clock.nowMs());
      } catch (error) {
        if (!(error instanceof StoreError)) throw error;
        this.#failed({ part: 'latecomers' });
        logger.warn({ rollout: spec.policy.name, code: error.code, message: error.message }, 'rollout.waits');
      }
    }
  }

  async #look(spec: RolloutSpec, nowMs: number): Promise<void> {
    const { states, clock } = this.#given;
    const stage = this.#stages.get(keyOf(spec)) ?? (await this.#restore(spec));
    const startedMs = clock.monoMs();
    if (startedMs < stage.nextLookMonoMs) return;
    const members = this.#members(spec);
    await stage.untold.tell();
    await this.#admit(
      spec,
      stage,
      members.filter((site) => this.#isOpen(site, stage, spec)),
    );
    await this.#ask(spec, stage, members, nowMs);
    const intervalMs = members.reduce(
      (least, site) => Math.min(least, states.all.get(site)?.intervalMs ?? DEFAULT_INTERVAL_MS),
      DEFAULT_INTERVAL_MS,
    );
    const endedMs = clock.monoMs();
    const restMs = REST_FACTOR * (endedMs - startedMs);
    stage.nextLookMonoMs = endedMs + Math.max(LEAST_BETWEEN_MS, intervalMs, restMs);
  }

  /** By the order of virtual sites that counts now. */
  #members(spec: RolloutSpec): string[] {
    const { registry, states } = this.#given;
    const { policy } = spec;
    const now = registry.rollout(rolloutName(policy.kind, policy.name))?.spec;
    return now === undefined ? [] : supportedMembers(now, registry, states, stageOf(spec).status.virtualSite);
  }

  async #restore(spec: RolloutSpec): Promise<Stage> {
    const { evidence, store } = this.#given;
    const { endedAtMs, virtualSite } = stageOf(spec).status;
    const { kind, name } = spec.policy;
    const fromMs = (endedAtMs ?? 0) - SETTLED_AFTER_MS;
    const triedAtMs = triedAgainAtMs(spec);
    const settledFrom = (ms: number) => evidence.settled(`${kind}/${name}`, stageKeyOf(spec), ms);
    const settled = await settledFrom(fromMs);
    if (triedAtMs > fromMs) {
      for (const [site, before] of settled) if (isTriedAgain(before, spec)) settled.delete(site);
      for (const [site, since] of await settledFrom(triedAtMs)) settled.set(site, since);
    }
    const untold = new Untold(store);
    // Told again, since nobody knows whether they were.
    for (const [site, { verdict, decidedAtMs, reasons }] of settled)
      if (verdict === 'fail' && decidedAtMs > (endedAtMs ?? 0))
        untold.add(failure(spec, { site, virtualSite, reasons, decidedAtMs }));
    const stage: Stage = { settled, ranges: new Map(), untold, nextLookMonoMs: Number.NEGATIVE_INFINITY };
    this.#stages.set(keyOf(spec), stage);
    return stage;
  }

  /** A verdict on a site of the same name, registered before, is another site's. */
  #isOpen(site: string, { settled }: Stage, spec: RolloutSpec): boolean {
    const before = settled.get(site);
    if (before === undefined || isTriedAgain(before, spec)) return true;
    return before.decidedAtMs < this.#registeredAtMs(site);
  }

  #registeredAtMs(site: string): number {
    return this.#given.registry.site(site)?.metadata.createdAtMs ?? 0;
  }

  /** Has those observed that are a member, without a verdict, and have met what the stage brought. */
  async #admit(spec: RolloutSpec, stage: Stage, open: readonly string[]): Promise<void> {
    const { states, evidence } = this.#given;
    const { status } = stageOf(spec);
    const wanted = new Set(open);
    const observed = new Set<string>();
    for (const range of stage.ranges.values()) {
      for (const site of range.sites) {
        if (wanted.has(site)) observed.add(site);
        else range.sites.delete(site);
      }
      if (range.sites.size === 0) stage.ranges.delete(range.sinceMs);
    }
    const sites = open.filter((site) => !observed.has(site) && hasMet(states.all.get(site), spec));
    const { version, startedAtMs } = status;
    if (sites.length === 0 || version === null || startedAtMs === null) return;
    const seen = await evidence.firstSeen({ ...spec.policy, version, fromMs: startedAtMs, sites });
    for (const [site, seenAtMs] of seen)
      observe(stage, site, rangeStart(status, seenAtMs, this.#registeredAtMs(site)));
  }

  async #ask(spec: RolloutSpec, stage: Stage, members: readonly string[], nowMs: number): Promise<void> {
    const { registry, evaluation } = this.#given;
    const { status, plan } = stageOf(spec);
    const soakMs = minSoakMs(guardsAt(status.virtualSite, registry));
    const ranges = [...stage.ranges.values()].sort((a, b) => a.askedAtMs - b.askedAtMs);
    for (const range of ranges.slice(0, RANGES_A_LOOK)) {
      const asked = { ...range, sites: [...range.sites], minSoakMs: soakMs };
      const said = await evaluation.evaluateLate(spec, asked, nowMs);
      range.askedAtMs = nowMs;
      if (said === null) continue;
      range.recorded = said.recorded;
      const { decidedAtMs, verdict } = said;
      const settled = this.#settle(spec, stage, verdict.sites, decidedAtMs);
      if (settled.length > 0) await this.#show(spec, members, settled, nowMs);
      await stage.untold.tell();
      // A score before the change is only known of the first range.
      const isRenewed = decidedAtMs - range.sinceMs >= Math.max(plan.soakMs, soakMs, RENEWED_AFTER_MS);
      if (!isRenewed || plan.maxScoreDrop < NO_BOUND) continue;
      for (const { site, verdict: one, reasons } of verdict.sites) {
        if (one !== 'inconclusive' || !reasons.some(({ code }) => BLEMISHES.has(code))) continue;
        range.sites.delete(site);
        observe(stage, site, decidedAtMs);
      }
    }
  }

  #settle(
    spec: RolloutSpec,
    stage: Stage,
    sites: readonly SiteVerdict[],
    decidedAtMs: number,
  ): SiteVerdict[] {
    const { virtualSite } = stageOf(spec).status;
    const settled: SiteVerdict[] = [];
    for (const one of sites) {
      const { site, verdict } = one;
      if (verdict === 'inconclusive') continue;
      const reasons = one.reasons.map(({ text }) => text);
      stage.settled.set(site, { verdict, decidedAtMs, reasons });
      settled.push(one);
      if (verdict === 'fail') stage.untold.add(failure(spec, { site, virtualSite, reasons, decidedAtMs }));
    }
    return settled;
  }

  /** What the rollout shows of the stage moves on; nothing that a site is told does. */
  async #show(spec: RolloutSpec, members: readonly string[], settled: SiteVerdict[], nowMs: number) {
    const { registry, authority, states } = this.#given;
    const { kind, name } = spec.policy;
    const applied = members.filter((site) => standingOf(site, states.all.get(site), true, spec).isApplied);
    const figures = { sites: members.length, applied: applied.length };
    const rollout = rolloutName(kind, name);
    await authority.decide(() => {
      const before = registry.rollout(rollout);
      // That of an earlier generation is shown no more; what is decided of it is told and kept with its evidence.
      if (before === undefined || !shows(before.spec, spec)) return [];
      const metadata = stamp(rollout, { id: rollout, by: 'control', nowMs }, before.metadata);
      const stages = before.spec.stages.map((one, i) =>
        i === spec.stage ? withLate(one, figures, settled) : one,
      );
      return [{ put: { ...before, metadata, spec: { ...before.spec, stages } } }];
    });
  }
}

function observe({ ranges }: Stage, site: string, sinceMs: number): void {
  const range = ranges.get(sinceMs) ?? { sinceMs, sites: new Set(), askedAtMs: 0, recorded: null };
  range.sites.add(site);
  ranges.set(sinceMs, range);
}

function isTriedAgain({ verdict, decidedAtMs }: Settled, spec: RolloutSpec): boolean {
  return verdict === 'fail' && decidedAtMs < triedAgainAtMs(spec);
}

function failure(
  spec: RolloutSpec,
  failed: { site: string; virtualSite: string; reasons: readonly string[]; decidedAtMs: number },
): FleetEvent {
  const { site, virtualSite, reasons, decidedAtMs } = failed;
  const why = reasons.slice(0, 2).join('; ').slice(0, 400) || 'the evidence says so';
  return {
    id: `rollout.site-failed/${keyOf(spec)}/${site}`,
    atMs: decidedAtMs,
    kind: 'rollout.site-failed',
    severity: severityOf('rollout.site-failed'),
    site,
    virtualSite,
    by: '',
    message: `${nameOf(spec)} failed at ${site}, after ${virtualSite} was promoted to it: ${why}`,
  };
}

function stageKeyOf(spec: RolloutSpec): string {
  const { generation, stage } = spec;
  return stageKey({ generation, stage, startedAtMs: stageOf(spec).status.startedAtMs ?? 0 });
}

function keyOf(spec: RolloutSpec): string {
  return `${spec.policy.kind}/${spec.policy.name}/${stageKeyOf(spec)}`;
}
