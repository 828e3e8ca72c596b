import type { Clock } from '../../core/ports/clock.ts';
import { EnforcerError } from '../../core/ports/enforcer.ts';
import type { Logger } from '../../core/ports/logger.ts';
import type { Confirmation, PolicyLink } from '../../core/ports/policy-link.ts';
import {
  changesBetween,
  firstChange,
  isDoubted,
  withBlame,
  withDoubt,
  withGood,
  withOutcomes,
  withTakenBack,
} from './changes.ts';
import { type Dataplane, Interrupted } from './dataplane.ts';
import type { Evidence } from './evidence.ts';
import { isAllKnown, lossOf } from './lost.ts';
import { areSameInForce, changed, isSameInForce, type PlanWorld, planFor } from './plan.ts';
import { isFull, type Remembered } from './remembered.ts';
import { type AgentState, type Chosen, type Refusal, withRefusal } from './state.ts';
import { Waits } from './waits.ts';

export type EnforcementOptions = {
  world: PlanWorld;
  remembered: Remembered;
  dataplane: Dataplane;
  evidence: Evidence;
  link: PolicyLink;
  /** Corrected by the hub's. */
  clock: Clock;
  logger: Logger;
  confirmWindowMs: number;
  /** Looks up anew what is exempt, as far as that can be had soon. */
  refreshEndpoints(): Promise<void>;
  /** What must be on disk before anything changes, and what is due once it has. */
  beforeChange(): void;
  afterChange(): void;
  /** These were just confirmed, or just told to cut connections from before. */
  cutOnce(policies: readonly Chosen[]): void;
  random: () => number;
};

/** How long the hub may take to answer once the change is taken back, or before it is tried again. */
const REDIAL_MS = 10_000;

type Failure = Exclude<Confirmation, { ok: true }>;

/**
 * Brings what is in force to what the signed documents want: applied as a whole, read back, confirmed by a hub that a new
 * connection reaches, and only then remembered as good; else taken back at once. Every step is kept before the next one, so
 * that a kill anywhere goes on from what was confirmed last.
 */
export class Enforcement {
  readonly #options: EnforcementOptions;
  #running: Promise<void> | null = null;
  #isAskedAgain = false;
  #isShut = false;
  #interrupt = Promise.withResolvers<'interrupted'>();
  readonly #waits: Waits;
  #isTold = false;

  constructor(options: EnforcementOptions) {
    this.#options = options;
    this.#waits = new Waits(options.clock, options.random);
  }

  /** Why the dataplane does not take what is wanted, as of now; null when it does. */
  get blocked(): string | null {
    return this.#waits.reason ?? this.#loss?.detail ?? null;
  }

  /** The hub has said all that it has to say to this site. */
  told(): void {
    this.#isTold = true;
  }

  /** Puts in force what was confirmed last, and goes no further: nobody has to be there. */
  begin(): Promise<void> {
    return this.#alone(async () => {
      this.#note((state) => (state.irremovable.length === 0 ? state : { ...state, irremovable: [] }));
      if (!this.#isLost()) await this.#resume();
      else await this.#endTrial();
    });
  }

  /** Settles once what can be done now is done. Never rejects for what the outside world did. */
  reconcile(): Promise<void> {
    if (this.#running === null) return this.#alone(() => this.#run());
    this.#isAskedAgain = true;
    return this.#running;
  }

  /** A fresh channel to the hub: what waits for it goes on soon, spread over the fleet. */
  hubIsBack(): void {
    if (this.#options.remembered.state.hubAway) this.#waits.hubIsBack();
  }

  /** Nothing is applied from now on; what was under way is given up. */
  shut(): void {
    this.#isShut = true;
    this.#options.dataplane.open = false;
    this.#interrupt.resolve('interrupted');
  }

  reopen(): void {
    this.#isShut = false;
    this.#options.dataplane.open = true;
    this.#interrupt = Promise.withResolvers();
  }

  /** Resolves when nothing is under way any more; after `shut` that is soon. */
  async settled(): Promise<void> {
    await this.#running?.catch(() => undefined);
  }

  #alone(work: () => Promise<void>): Promise<void> {
    this.#running = work().finally(() => {
      this.#running = null;
    });
    return this.#running;
  }

  async #run(): Promise<void> {
    try {
      do {
        this.#isAskedAgain = false;
        while (!this.#isShut && (await this.#step()));
      } while (this.#isAskedAgain && !this.#isShut);
    } catch (error) {
      if (isFull(error)) this.#block(`memory-full: ${error.message}`);
      else if (!(error instanceof Interrupted)) throw error;
    }
  }

  /** One step towards what is wanted; false when there is none to take now. */
  async #step(): Promise<boolean> {
    const { remembered, dataplane, world, link, clock } = this.#options;
    const present = dataplane.policies;
    const isGood = present !== null && areSameInForce(present, remembered.state.good.policies);
    const isLost = !isGood && this.#isLost();
    if (!isGood && !(await (isLost ? this.#endTrial() : this.#resume()))) return false;
    remembered.catchUp();
    const plan = planFor(remembered.state, world);
    this.#note((state) => withOutcomes(state, plan.outcomes, clock.nowMs()));
    if (isLost && !(this.#isTold && isAllKnown(remembered.state, plan, world.specs))) return false;
    const next = this.#choose(plan.policies);
    const { good, hubAway } = remembered.state;
    if (!isLost && areSameInForce(next, good.policies)) {
      this.#keepGood(next);
      return false;
    }
    if (this.#waits.isBlocked) return false;
    if (hubAway) {
      if (this.#waits.isHubAwaited) return false;
      const answer = await this.#confirm(REDIAL_MS);
      if (!answer.ok) {
        this.#waits.forHub();
        return false;
      }
    }
    return this.#try(next, link);
  }

  /** Why what is in force may not be touched before the hub has sent everything; null when it may. */
  get #loss(): Refusal | null {
    const { remembered, world } = this.#options;
    return lossOf(remembered.state, world.specs);
  }

  #isLost(): boolean {
    const { remembered, world, clock, logger } = this.#options;
    const loss = this.#loss;
    if (loss === null) return false;
    const before = remembered.state;
    this.#note((state) => withRefusal(state, loss, clock.nowMs()));
    if (remembered.state !== before)
      logger.error({ site: world.site, code: loss.code, key: loss.key }, 'policy.memory-lost');
    return true;
  }

  /** A change of what nobody knows any more was cut off, and nobody confirmed it. False when it can't be undone yet. */
  async #endTrial(): Promise<boolean> {
    if (this.#options.remembered.state.trial === null) return true;
    const isOver = await this.#revert();
    if (isOver) this.#note((state) => ({ ...state, trial: null }));
    return isOver;
  }

  /** What was confirmed last is in force again, before anybody is asked. */
  async #resume(): Promise<boolean> {
    const { remembered, dataplane, evidence, world, logger, clock } = this.#options;
    if (this.#waits.isBlocked) return false;
    const { good, trial } = remembered.state;
    const { policies } = good;
    // After a kill in the midst of a change nobody knows what is in force: the next revision says that it may be another.
    const isNew = trial !== null || good.revision === 0;
    const revision = isNew ? remembered.state.revision + 1 : good.revision;
    if (!remembered.state.touched) this.#note((state) => ({ ...state, touched: true }));
    const problem = await this.#attempt(() =>
      dataplane.apply(policies, revision, remembered.state.endpoints),
    );
    if (problem !== null) {
      this.#block(`${problem.code}: ${problem.detail}`);
      return false;
    }
    this.#note((state) => ({
      ...state,
      revision: Math.max(revision, state.revision),
      good: { policies, revision },
      trial: null,
    }));
    evidence.applied(policies, clock.nowMs());
    this.#options.afterChange();
    this.#waits.unblock();
    logger.info({ site: world.site, policies: policies.length, revision }, 'policy.resumed');
    return true;
  }

  /** True when another step may follow. */
  async #try(next: readonly Chosen[], link: PolicyLink): Promise<boolean> {
    const { remembered, dataplane, evidence, logger, clock, world } = this.#options;
    await Promise.all([this.#options.refreshEndpoints(), dataplane.prepare(next)]);
    if (this.#isShut) throw new Interrupted();
    this.#options.beforeChange();
    const isHeld = this.#loss !== null;
    const unheld = isHeld ? await this.#attempt(() => dataplane.hold()) : null;
    if (unheld !== null) {
      this.#block(`${unheld.code}: ${unheld.detail}`);
      return false;
    }
    const revision = remembered.state.revision + 1;
    remembered.update((state) => ({ ...state, revision, trial: { policies: [...next], revision, isHeld } }));
    const rejected = await this.#attempt(() => dataplane.apply(next, revision, remembered.state.endpoints));
    if (rejected !== null) return this.#giveUp(next, rejected);
    evidence.applied(next, clock.nowMs());
    this.#options.afterChange();
    let differences: readonly string[] = [];
    const unread = await this.#attempt(async () => {
      differences = await dataplane.readBack();
    });
    const wrong = unread?.detail ?? differences[0];
    if (wrong !== undefined) {
      if (await this.#revert()) this.#note((state) => ({ ...state, trial: null }));
      this.#block(`what was read back differs: ${wrong}`);
      return false;
    }
    // What is taken away may narrow a workload too, while another policy isolates it. Nothing at all cuts nobody off.
    const mayCut = next.length > 0;
    const answer: Confirmation = mayCut ? await this.#confirm(this.#options.confirmWindowMs) : { ok: true };
    if (answer.ok) {
      this.#waits.unblock();
      remembered.update((state) => withGood(state, next, revision));
      evidence.confirmed(next, clock.nowMs());
      this.#options.afterChange();
      this.#options.cutOnce(next);
      logger.info({ site: world.site, policies: next.length, revision }, 'policy.confirmed');
      return true;
    }
    logger.warn({ site: world.site, revision, why: answer.detail }, 'policy.unconfirmed');
    return this.#takeBack(next, answer, link);
  }

  /** The dataplane did not take it, so that what was in force still is. */
  #giveUp(next: readonly Chosen[], { code, detail }: EnforcerError): boolean {
    const { remembered } = this.#options;
    const culprits = changed(next, remembered.state.good.policies);
    if (code !== 'rejected' || culprits.length === 0) {
      remembered.update((state) => ({ ...state, trial: null }));
      this.#block(`${code}: ${detail}`);
      return false;
    }
    this.#blame(culprits, next, 'rejected', detail);
    return true;
  }

  async #takeBack(next: readonly Chosen[], failure: Failure, link: PolicyLink): Promise<boolean> {
    const { remembered, logger, world, clock } = this.#options;
    const changes = changesBetween(remembered.state.good.policies, next);
    // A hub that was away itself may be back by now: only what finds it away twice in a row is taken for the cause of it.
    const isCause =
      failure.code !== 'unanswered' && (failure.isHubThere || isDoubted(remembered.state, changes, next));
    if (!(await this.#revert())) return false;
    const answer = await this.#confirm(REDIAL_MS, link);
    if (answer.ok && isCause) {
      const detail = `with it the hub could not be reached by a new connection: ${failure.detail}`;
      this.#blame(changes, next, 'cuts-hub', detail);
      return true;
    }
    this.#note((state) => {
      const doubted = answer.ok && failure.code !== 'unanswered' ? withDoubt(state, changes, next) : state;
      const told = withTakenBack(doubted, changes, next, failure.detail, clock.nowMs());
      return { ...told, trial: null, hubAway: true };
    });
    this.#waits.forHub();
    logger.warn({ site: world.site, why: failure.detail }, 'policy.hub-away');
    return false;
  }

  /**
   * Puts back what was confirmed last, and only then takes it down: the trial is on record, so that a kill in between has it
   * put back once more, and no disk is needed to get out of a change that cuts the hub.
   */
  async #revert(): Promise<boolean> {
    const { remembered, dataplane, evidence, clock, world } = this.#options;
    const { good, trial, endpoints } = remembered.state;
    const revision = remembered.state.revision + 1;
    const policies = good.policies.filter(({ digest }) => world.specs.get(digest) !== null);
    let isBack = false;
    const problem = await this.#attempt(async () => {
      isBack = trial?.isHeld === true && this.#loss !== null && (await this.#putBack());
      if (!isBack) await dataplane.apply(policies, revision, endpoints);
    });
    if (problem !== null) {
      this.#block(`${problem.code}: ${problem.detail}`);
      return false;
    }
    if (isBack) return true;
    this.#note((state) => ({ ...state, revision, good: { policies, revision }, isLost: false }));
    evidence.applied(policies, clock.nowMs());
    evidence.confirmed(policies, clock.nowMs());
    this.#options.afterChange();
    return true;
  }

  /** False where nothing was held, or it can't be put back whatever one waits for: nothing keeps the hub cut off. */
  async #putBack(): Promise<boolean> {
    const { dataplane, logger, world } = this.#options;
    try {
      return await dataplane.putBack();
    } catch (error) {
      if (!(error instanceof EnforcerError) || error.code === 'busy') throw error;
      logger.error({ site: world.site, why: error.detail }, 'policy.not-put-back');
      return false;
    }
  }

  #blame(culprits: readonly Chosen[], next: readonly Chosen[], code: string, detail: string): void {
    const { clock, logger, world } = this.#options;
    const isLost = this.#loss !== null;
    this.#note((state) => withBlame(state, culprits, next, { code, detail, isLost }, clock.nowMs()));
    for (const { name, generation } of culprits)
      logger.warn({ site: world.site, policy: name, generation, code, detail }, 'policy.refused');
  }

  /** Of what has happened already: a full disk does not undo it. */
  #note(change: (state: AgentState) => AgentState): void {
    const { remembered, logger, world } = this.#options;
    if (!remembered.note(change)) logger.error({ site: world.site }, 'policy.memory-full');
  }

  /** What to have next: all that is wanted, or only the first change of it. */
  #choose(policies: readonly Chosen[]): readonly Chosen[] {
    const { good, oneByOne } = this.#options.remembered.state;
    return oneByOne ? firstChange(good.policies, policies) : policies;
  }

  /** In force as wanted; what the dataplane need not know of may have changed. */
  #keepGood(next: readonly Chosen[]): void {
    const { policies } = this.#options.remembered.state.good;
    const cut = next.filter(
      (policy) =>
        policy.established === 'cut' &&
        policies.some((one) => isSameInForce(one, policy) && one.established !== 'cut'),
    );
    if (cut.length > 0) this.#options.cutOnce(cut);
    this.#options.remembered.update((state) => {
      const isSame = JSON.stringify(next) === JSON.stringify(state.good.policies);
      if (isSame && !state.hubAway && !state.oneByOne) return state;
      return { ...state, good: { ...state.good, policies: [...next] }, hubAway: false, oneByOne: false };
    });
  }

  async #confirm(withinMs: number, link = this.#options.link): Promise<Confirmation> {
    const answer = await Promise.race([link.confirm(withinMs), this.#interrupt.promise]);
    if (answer === 'interrupted' || this.#isShut) throw new Interrupted();
    return answer;
  }

  async #attempt(work: () => Promise<void>): Promise<EnforcerError | null> {
    try {
      await work();
      return null;
    } catch (error) {
      if (error instanceof EnforcerError) return error;
      throw error;
    }
  }

  #block(reason: string): void {
    const waitMs = this.#waits.block(reason);
    this.#options.logger.warn({ site: this.#options.world.site, why: reason, waitMs }, 'policy.blocked');
  }
}
