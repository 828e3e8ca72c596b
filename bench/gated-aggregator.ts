import { setTimeout as sleep } from 'node:timers/promises';
import { createMetrics } from '../adapters/prometheus/metrics.ts';
import { createAggregator } from '../aggregator/aggregator.ts';
import { systemClock } from '../core/ports/clock.ts';
import type { Log } from '../core/ports/log.ts';
import type { Store } from '../core/ports/store.ts';
import type { Table } from '../core/ports/table.ts';
import { cpuSeconds, silent } from './result.ts';
import { MASTER } from './workload.ts';

export const DAY_MS = 86_400_000;

/** An aggregator that reads only while it is measured, so that what fills the log is not counted. */
export async function startAggregator({ log, table, store }: { log: Log; table: Table; store: Store }) {
  let gate = Promise.withResolvers<void>();
  const gated: Log = {
    start: () => log.start(),
    stop: () => log.stop(),
    retain: () => log.retain(),
    append: (topic, records) => log.append(topic, records),
    subscribe: async (options) => {
      const inner = await log.subscribe(options);
      return {
        next: async (signal) => {
          await gate.promise;
          return inner.next(signal);
        },
        commit: (batch) => inner.commit(batch),
        caughtUp: () => inner.caughtUp(),
        lag: () => inner.lag(),
        close: () => inner.close(),
      };
    },
  };
  const aggregator = createAggregator({
    log: gated,
    table,
    store,
    master: MASTER,
    clock: systemClock,
    logger: silent,
    metrics: createMetrics(),
    spoolMaxAgeMs: DAY_MS,
    pace: () => 0,
  });
  await aggregator.start();
  const catchUp = async () => {
    gate.resolve();
    while (!(await aggregator.caughtUp())) await sleep(5);
    gate = Promise.withResolvers<void>();
  };
  const stop = async () => {
    gate.resolve();
    await aggregator.stop();
  };
  return { catchUp, stop };
}

/** Merges are the same whoever made the parts, so they are let run between the measurements and not within them. */
export async function settled(store: Store, act: () => Promise<unknown>): Promise<number> {
  await store.derive('SYSTEM START MERGES');
  for (let quiet = 0; quiet < 5; quiet++) {
    await sleep(100);
    const [running] = await store.query<{ n: number }>('SELECT count() AS n FROM system.merges');
    if (running?.n !== 0) quiet = 0;
  }
  await store.derive('SYSTEM STOP MERGES');
  return cpuSeconds(act);
}
