import type { Log } from '../core/ports/log.ts';
import type { Logger } from '../core/ports/logger.ts';
import { isOutage } from './lasting.ts';

const EVERY_MS = 60_000;

/** Lets the log forget what its retention allows, once a minute. */
export function keepHouse(log: Log, logger: Logger) {
  let timer: NodeJS.Timeout | undefined;
  let working: Promise<void> = Promise.resolve();
  const work = async () => {
    try {
      await log.retain();
    } catch (error) {
      if (!isOutage(error)) throw error;
      logger.warn({ code: error.code, reason: error.message }, 'log.retain.failed');
    }
  };
  return {
    async start() {
      timer = setInterval(() => {
        working = working.then(work);
      }, EVERY_MS).unref();
    },
    async stop() {
      clearInterval(timer);
      await working;
    },
  };
}
