import { setTimeout as sleep } from 'node:timers/promises';
import { LogError } from '../core/ports/log.ts';
import type { Logger } from '../core/ports/logger.ts';
import { StoreError } from '../core/ports/store.ts';
import { TableError } from '../core/ports/table.ts';

const AGAIN_AFTER_MS = 2000;

type Part = { start(): Promise<void>; stop(): Promise<void> };

/**
 * A part that begins anew whenever it says that it was lost to an outage of log, table or store, as often as it takes.
 * `make` is given what to call then.
 */
export function lasting(make: (onLost: () => void) => Part, logger: Logger): Part {
  const stopping = new AbortController();
  let renewing: Promise<void> = Promise.resolve();
  const renew = async () => {
    await part.stop();
    while (!stopping.signal.aborted) {
      try {
        await part.start();
        return;
      } catch (error) {
        if (!isOutage(error)) throw error;
        logger.warn({ code: error.code, reason: error.message }, 'hub.part.waits');
      }
      await sleep(AGAIN_AFTER_MS, undefined, { signal: stopping.signal }).catch(() => undefined);
    }
  };
  const part = make(() => {
    renewing = renewing.then(renew);
  });
  return {
    start: () => part.start(),
    async stop() {
      stopping.abort();
      await renewing;
      await part.stop();
    },
  };
}

/** What the outside world does, and time mends; anything else is a bug. */
export function isOutage(error: unknown): error is LogError | StoreError | TableError {
  return error instanceof LogError || error instanceof StoreError || error instanceof TableError;
}
