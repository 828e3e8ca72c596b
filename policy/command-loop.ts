import { setTimeout as sleep } from 'node:timers/promises';
import { type Log, type LogBatch, LogError } from '../core/ports/log.ts';
import type { Logger } from '../core/ports/logger.ts';
import type { Metrics } from '../core/ports/metrics.ts';
import { type Store, StoreError } from '../core/ports/store.ts';
import type { Authority } from './authority.ts';
import { type Decided, decideBatch } from './command-batch.ts';
import { eventRow } from './event-row.ts';
import type { PolicyFacts } from './policy-facts.ts';
import type { Change, Registry } from './registry.ts';

const RETRY_MS = 1_000;

type LoopOptions = {
  log: Log;
  store: Store;
  registry: Registry;
  authority: Authority;
  facts: PolicyFacts;
  /** Told once the changes are durable; the events are told after it has done what follows from them. */
  onChanges: (changes: readonly Change[]) => Promise<void>;
  logger: Logger;
  metrics: Metrics;
};

/**
 * Reads log `commands` and carries each batch out: the changes and results in one write, then the events, then the
 * position. Whatever fails on the way is tried again, or redelivered to the next owner, with the same outcome.
 */
export async function runCommands(options: LoopOptions, signal: AbortSignal): Promise<void> {
  const { log, logger } = options;
  const count = options.metrics.counter('plumbline_commands_total', 'Commands that control read.', [
    'outcome',
  ]);
  const subscription = await log.subscribe({
    group: 'control',
    topics: ['commands'],
    maxRecords: 100,
    maxWaitMs: 1_000,
  });
  try {
    while (!signal.aborted) {
      const batch = await subscription.next(signal);
      if (batch === null) continue;
      if (!(await carryOut(batch, options, count, signal))) return;
      const committed = await subscription.commit(batch);
      if (!committed.ok) logger.warn({ code: committed.code }, 'control.commands_taken');
    }
  } catch (error) {
    // The log was closed under a reader that is being stopped.
    if (!(signal.aborted && error instanceof LogError)) throw error;
  } finally {
    await subscription.close();
  }
}

/** False when it has to be left to whoever comes next. */
async function carryOut(
  batch: LogBatch,
  { store, registry, authority, facts, onChanges, logger }: LoopOptions,
  count: (labels: Record<string, string>, by?: number) => void,
  signal: AbortSignal,
): Promise<boolean> {
  if (batch.skipped > 0) logger.error({ skipped: batch.skipped }, 'control.commands_lost');
  const made: { decided: Decided } = { decided: decideBatch([], registry, facts) };
  for (;;) {
    const written = await authority.decide(() => {
      made.decided = decideBatch(batch.records, registry, facts);
      return made.decided.changes;
    });
    if (written === 'written') break;
    if (written === 'fenced' || !(await pause(signal))) return false;
  }
  const { changes, events, outcomes, unreadable } = made.decided;
  for (const { offset, detail } of unreadable) logger.warn({ offset, detail }, 'control.command_unreadable');
  await onChanges(changes);
  for (;;) {
    try {
      await store.insert('event', events.map(eventRow));
      break;
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      logger.warn({ code: error.code, events: events.length }, 'control.events_unwritten');
      if (!(await pause(signal))) return false;
    }
  }
  for (const outcome of outcomes) count({ outcome });
  return true;
}

/** False when there is no time left to try again. */
async function pause(signal: AbortSignal): Promise<boolean> {
  try {
    await sleep(RETRY_MS, undefined, { signal });
    return true;
  } catch {
    return false;
  }
}
