import type { KeyObject } from 'node:crypto';
import type { Clock } from '../core/ports/clock.ts';
import { type Log, type LogBatch, LogError, type LogRecord, type Subscription } from '../core/ports/log.ts';
import type { Logger } from '../core/ports/logger.ts';
import type { Metrics } from '../core/ports/metrics.ts';
import type { Store } from '../core/ports/store.ts';
import type { Table, TableView } from '../core/ports/table.ts';
import { DEFAULT_WEIGHTS, type Weights } from '../core/score/weights.ts';
import { insertRows, publishStates } from './effects.ts';
import { createFigures, type Figures } from './figures.ts';
import { type Known, lookUp, nothingKnown } from './known.ts';
import { createMemory, type Memory } from './memory.ts';
import { mendStates } from './mend.ts';
import { emptyOutcome, type Outcome } from './outcome.ts';
import { createPace, type Pace } from './pace.ts';
import { admit, conclude, PIECE_RECORDS } from './pipeline.ts';
import { createRegistry, type Registry } from './registry.ts';
import { isOutside, pause, untilDone } from './retry.ts';

const MAX_RECORDS = 3000;
const MAX_WAIT_MS = 1000;
const LAG_EVERY_MS = 5000;
/** What may be left of a kill is looked for once, when most sites that live have mended it by reporting again. */
const MEND_AFTER_MS = 60_000;
/** A batch that is longer in hand waits for something that is away, and what came with it is not known to anybody yet. */
const STUCK_AFTER_MS = 5000;

export type AggregatorOptions = {
  log: Log;
  table: Table;
  store: Store;
  master: KeyObject;
  clock: Clock;
  logger: Logger;
  metrics: Metrics;
  /** A report may be this much older than its receipt. */
  spoolMaxAgeMs: number;
  weights?: Weights;
  /** Least time from one batch to the next, unless it was a full one; by what the sites say if left out. */
  pace?: Pace;
};

export interface Aggregator {
  start(): Promise<void>;
  /** Idempotent. The batch in hand is finished, unless the store is away: then it is read again later. */
  stop(): Promise<void>;
  /** Whether everything that had been appended is in the store. */
  caughtUp(): Promise<boolean>;
  /**
   * Whether at most one batch is waiting and the one in hand gets on: the state of every site is then as new as what it
   * sent a moment ago. Nothing at all waiting would be too much to ask, since in a busy fleet there always is something.
   */
  keepsUp(): Promise<boolean>;
  /** What it has been trying for a while now and can't get done, in words; null while it gets on. */
  trouble(): string | null;
}

type Parts = {
  resources: TableView;
  states: TableView;
  registry: Registry;
  memory: Memory;
  subscription: Subscription;
};

/** Turns reports into rows: one loop, one batch at a time, and everything it remembers can be rebuilt. */
export function createAggregator(options: AggregatorOptions): Aggregator {
  return new ReportAggregator(options);
}

class ReportAggregator implements Aggregator {
  readonly #options: AggregatorOptions;
  readonly #weights: Weights;
  readonly #pace: Pace;
  readonly #figures: Figures;
  readonly #stopping = new AbortController();
  #parts: Parts | null = null;
  #loop: Promise<void> = Promise.resolve();
  /** Before the first batch a lag of nothing may only mean that no partition is this subscription's yet. */
  #hasTaken = false;
  /** When the batch in hand was taken, by the monotonic clock; null between batches. */
  #takenAtMonoMs: number | null = null;
  /** When to look for states that a kill has left behind, by the monotonic clock. */
  #mendAtMonoMs: number;
  /** Why the batch in hand had to be tried again. */
  #failure: string | null = null;

  constructor(options: AggregatorOptions) {
    this.#options = options;
    this.#weights = options.weights ?? DEFAULT_WEIGHTS;
    this.#pace = options.pace ?? createPace();
    this.#figures = createFigures(options.metrics);
    this.#mendAtMonoMs = options.clock.monoMs() + MEND_AFTER_MS;
  }

  async start(): Promise<void> {
    const { table, master, logger } = this.#options;
    const resources = await table.view('resources');
    const states = await table.view('state');
    const parts = {
      resources,
      states,
      registry: createRegistry(resources, master),
      memory: createMemory(states, logger),
      subscription: await this.#subscribe(),
    };
    this.#parts = parts;
    this.#loop = this.#run(parts);
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#loop;
    const parts = this.#parts;
    this.#parts = null;
    if (parts === null) return;
    await parts.subscription.close();
    parts.registry.close();
    parts.memory.close();
    await parts.states.close();
    await parts.resources.close();
  }

  async caughtUp(): Promise<boolean> {
    return this.#parts?.subscription.caughtUp() ?? false;
  }

  async keepsUp(): Promise<boolean> {
    const subscription = this.#parts?.subscription;
    if (subscription === undefined || this.#isStuck()) return false;
    if (await subscription.caughtUp()) return true;
    return this.#hasTaken && (await subscription.lag()) <= MAX_RECORDS;
  }

  trouble(): string | null {
    return this.#isStuck() ? this.#failure : null;
  }

  #isStuck(): boolean {
    const takenAtMs = this.#takenAtMonoMs;
    return takenAtMs !== null && this.#options.clock.monoMs() - takenAtMs > STUCK_AFTER_MS;
  }

  #subscribe(): Promise<Subscription> {
    return this.#options.log.subscribe({
      group: 'aggregator',
      topics: ['reports', 'backfill'],
      maxRecords: MAX_RECORDS,
      maxWaitMs: MAX_WAIT_MS,
    });
  }

  async #run(parts: Parts): Promise<void> {
    const { clock } = this.#options;
    const { signal } = this.#stopping;
    let lagAtMs = Number.NEGATIVE_INFINITY;
    while (!signal.aborted) {
      const read = await this.#untilDone('read', () => parts.subscription.next(signal));
      if (read === null) return;
      const batch = read.value;
      const beganMs = clock.monoMs();
      if (beganMs - lagAtMs >= LAG_EVERY_MS && !signal.aborted) {
        lagAtMs = beganMs;
        await this.#showLag(parts.subscription);
      }
      if (beganMs >= this.#mendAtMonoMs) await this.#mend(parts);
      if (batch === null) continue;
      this.#takenAtMonoMs = beganMs;
      const outcome = emptyOutcome();
      await this.#take(batch, parts, outcome, beganMs);
      this.#takenAtMonoMs = null;
      this.#failure = null;
      const paceMs = this.#pace(outcome.reports, beganMs);
      const isFull = batch.records.length >= MAX_RECORDS;
      if (!isFull) await pause(beganMs + paceMs - clock.monoMs(), signal);
    }
  }

  /** A broker that is away has no lag to tell; `next` waits for it. */
  async #showLag(subscription: Subscription): Promise<void> {
    try {
      this.#figures.lag(await subscription.lag());
    } catch (error) {
      if (!(error instanceof LogError)) throw error;
    }
  }

  /** Only when little waits: what had been stored but not committed has then come again, and has told its events. */
  async #mend({ memory }: Parts): Promise<void> {
    const { store, table, clock, logger } = this.#options;
    this.#mendAtMonoMs = clock.monoMs() + MEND_AFTER_MS;
    try {
      if (!(await this.keepsUp())) return;
      const sites = await mendStates({ store, table, memory, weights: this.#weights }, clock.nowMs());
      this.#mendAtMonoMs = Number.POSITIVE_INFINITY;
      if (sites.length > 0) logger.info({ sites: sites.length }, 'aggregator.states.mended');
    } catch (error) {
      if (!isOutside(error)) throw error;
      logger.warn({ code: error.code, reason: error.message }, 'aggregator.mend.failed');
    }
  }

  /** Commit last: durable, then committed, then told to others. */
  async #take(batch: LogBatch, parts: Parts, outcome: Outcome, beganMs: number): Promise<void> {
    const { store, table, clock, logger } = this.#options;
    const { memory } = parts;
    const known = nothingKnown();
    for (let from = 0; from < batch.records.length; from += PIECE_RECORDS) {
      const piece = batch.records.slice(from, from + PIECE_RECORDS);
      if (!(await this.#work(piece, parts, known, outcome))) return;
    }
    const inserted = await this.#untilDone('insert', () => insertRows(outcome, store, clock));
    if (inserted === null) return;
    if (!(await this.#commit(batch, parts))) return;
    await this.#untilDone('publish', () => publishStates(outcome, table, memory));
    this.#hasTaken = true;
    if (batch.skipped > 0) {
      this.#figures.skipped(batch.skipped);
      logger.warn({ records: batch.skipped }, 'aggregator.records.skipped');
    }
    this.#figures.batch(outcome, (clock.monoMs() - beganMs) / 1000);
    this.#figures.remembered(memory.size);
  }

  /** False when stopped meanwhile. */
  async #work(records: readonly LogRecord[], parts: Parts, known: Known, outcome: Outcome): Promise<boolean> {
    const { store, spoolMaxAgeMs } = this.#options;
    const { registry, memory } = parts;
    const admitted = admit(records, registry, spoolMaxAgeMs);
    const asked = await this.#untilDone('look up', () => lookUp(store, memory, admitted.authentic, known));
    if (asked === null) return false;
    conclude(admitted, known, memory, this.#weights, outcome);
    return true;
  }

  /** False when others have the batch now, or nobody knows: what was not committed is read and comes to the same rows again. */
  async #commit(batch: LogBatch, parts: Parts): Promise<boolean> {
    const { logger } = this.#options;
    try {
      const committed = await parts.subscription.commit(batch);
      if (committed.ok) return true;
      this.#figures.fenced();
      logger.info({ records: batch.records.length }, 'aggregator.batch.fenced');
    } catch (error) {
      if (!(error instanceof LogError)) throw error;
      logger.warn({ code: error.code, reason: error.message }, 'aggregator.commit.failed');
      await parts.subscription.close();
      const again = await this.#untilDone('subscribe', () => this.#subscribe());
      if (again !== null) parts.subscription = again.value;
    }
    parts.memory.forget();
    return false;
  }

  #untilDone<T>(what: string, act: () => Promise<T>): Promise<{ value: T } | null> {
    return untilDone(what, act, this.#options.logger, this.#stopping.signal, (why) => {
      this.#failure = why;
    });
  }
}
