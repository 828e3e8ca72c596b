import type { KeyObject } from 'node:crypto';
import type { Clock } from '../core/ports/clock.ts';
import { type Log, type LogBatch, LogError, type Subscription } from '../core/ports/log.ts';
import type { Logger } from '../core/ports/logger.ts';
import type { Metrics } from '../core/ports/metrics.ts';
import type { Store } from '../core/ports/store.ts';
import type { Table, TableView } from '../core/ports/table.ts';
import { DEFAULT_WEIGHTS, type Weights } from '../core/score/weights.ts';
import { insertRows, publishStates } from './effects.ts';
import { createFigures } from './figures.ts';
import { lookUp } from './known.ts';
import { createMemory, type Memory } from './memory.ts';
import { admit, conclude } from './pipeline.ts';
import { createRegistry, type Registry } from './registry.ts';
import { pause, untilDone } from './retry.ts';

const MAX_RECORDS = 3000;
const MAX_WAIT_MS = 1000;
/** An insert costs as much as thousands of rows, so that a busy log is read at most this often. */
const PACE_MS = 500;
const LAG_EVERY_MS = 5000;

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
  /** Least time from one batch to the next, unless it was a full one. */
  paceMs?: number;
};

export interface Aggregator {
  start(): Promise<void>;
  /** Idempotent. The batch in hand is finished, unless the store is away: then it is read again later. */
  stop(): Promise<void>;
  /** Whether everything that had been appended is in the store. */
  caughtUp(): Promise<boolean>;
}

type Parts = {
  resources: TableView;
  states: TableView;
  registry: Registry;
  memory: Memory;
  subscription: Subscription;
  stopping: AbortController;
};

/** Turns reports into rows: one loop, one batch at a time, and everything it remembers can be rebuilt. */
export function createAggregator(options: AggregatorOptions): Aggregator {
  const { log, table, store, clock, logger } = options;
  const weights = options.weights ?? DEFAULT_WEIGHTS;
  const paceMs = options.paceMs ?? PACE_MS;
  const figures = createFigures(options.metrics);
  let running: { parts: Parts; loop: Promise<void> } | null = null;

  async function start(): Promise<void> {
    const resources = await table.view('resources');
    const states = await table.view('state');
    const subscription = await subscribe();
    const parts: Parts = {
      resources,
      states,
      registry: createRegistry(resources, options.master),
      memory: createMemory(states, logger),
      subscription,
      stopping: new AbortController(),
    };
    running = { parts, loop: run(parts) };
  }

  function subscribe(): Promise<Subscription> {
    return log.subscribe({
      group: 'aggregator',
      topics: ['reports', 'backfill'],
      maxRecords: MAX_RECORDS,
      maxWaitMs: MAX_WAIT_MS,
    });
  }

  async function run(parts: Parts): Promise<void> {
    const { signal } = parts.stopping;
    let lagAtMs = Number.NEGATIVE_INFINITY;
    while (!signal.aborted) {
      const batch = await parts.subscription.next(signal);
      const beganMs = clock.monoMs();
      if (beganMs - lagAtMs >= LAG_EVERY_MS && !signal.aborted) {
        lagAtMs = beganMs;
        figures.lag(await parts.subscription.lag());
      }
      if (batch === null) continue;
      await take(batch, parts, beganMs);
      const isFull = batch.records.length >= MAX_RECORDS;
      if (!isFull) await pause(beganMs + paceMs - clock.monoMs(), signal);
    }
  }

  /** Commit last: durable, then committed, then told to others. */
  async function take(batch: LogBatch, parts: Parts, beganMs: number): Promise<void> {
    const { registry, memory, stopping } = parts;
    const { signal } = stopping;
    const { spoolMaxAgeMs } = options;
    const admitted = admit(batch.records, { registry, spoolMaxAgeMs, weights });
    const asked = await untilDone('look up', () => lookUp(store, memory, admitted.authentic), logger, signal);
    if (asked === null) return;
    const outcome = conclude(admitted, asked.value, memory, weights, clock.nowMs());
    const inserted = await untilDone('insert', () => insertRows(outcome, store, clock), logger, signal);
    if (inserted === null) return;
    if (!(await commit(batch, parts))) return;
    await untilDone('publish', () => publishStates(outcome, table, memory), logger, signal);
    if (batch.skipped > 0) {
      figures.skipped(batch.skipped);
      logger.warn({ records: batch.skipped }, 'aggregator.records.skipped');
    }
    figures.batch(outcome, (clock.monoMs() - beganMs) / 1000);
    figures.remembered(memory.size);
  }

  /** False when others have the batch now, or nobody knows: what was not committed is read and comes to the same rows again. */
  async function commit(batch: LogBatch, parts: Parts): Promise<boolean> {
    try {
      const committed = await parts.subscription.commit(batch);
      if (committed.ok) return true;
      figures.fenced();
      logger.info({ records: batch.records.length }, 'aggregator.batch.fenced');
    } catch (error) {
      if (!(error instanceof LogError)) throw error;
      logger.warn({ code: error.code, reason: error.message }, 'aggregator.commit.failed');
      await parts.subscription.close();
      const again = await untilDone('subscribe', subscribe, logger, parts.stopping.signal);
      if (again !== null) parts.subscription = again.value;
    }
    parts.memory.forget();
    return false;
  }

  async function stop(): Promise<void> {
    if (running === null) return;
    const { parts, loop } = running;
    running = null;
    parts.stopping.abort();
    await loop;
    await parts.subscription.close();
    parts.registry.close();
    parts.memory.close();
    await parts.states.close();
    await parts.resources.close();
  }

  return { start, stop, caughtUp: async () => running?.parts.subscription.caughtUp() ?? false };
}
