import { setTimeout as sleep } from 'node:timers/promises';
import { LogError } from '../core/ports/log.ts';
import type { Logger } from '../core/ports/logger.ts';
import { StoreError } from '../core/ports/store.ts';
import { TableError } from '../core/ports/table.ts';

const FIRST_MS = 100;
const MOST_MS = 10_000;

/**
 * Does it until it is done, waiting twice as long each time, or until stopped (null). Only what a log, store or table says
 * of its outside world is tried again; anything else is a bug and is thrown.
 */
export async function untilDone<T>(
  what: string,
  act: () => Promise<T>,
  logger: Logger,
  signal: AbortSignal,
  onFailure: (why: string) => void = () => {},
): Promise<{ value: T } | null> {
  for (let waitMs = FIRST_MS; ; waitMs = Math.min(MOST_MS, waitMs * 2)) {
    try {
      return { value: await act() };
    } catch (error) {
      if (!isOutside(error)) throw error;
      onFailure(`${what}: ${error.message} (${error.code})`);
      logger.warn({ what, code: error.code, reason: error.message, waitMs }, 'aggregator.step.again');
    }
    if (!(await pause(waitMs, signal))) return null;
  }
}

/** False when stopped meanwhile. */
export async function pause(ms: number, signal: AbortSignal): Promise<boolean> {
  if (ms > 0 && !signal.aborted) await sleep(ms, undefined, { signal }).catch(() => undefined);
  return !signal.aborted;
}

/** Whether an error is one that a log, store or table says of its outside world. */
export function isOutside(error: unknown): error is LogError | StoreError | TableError {
  return error instanceof LogError || error instanceof StoreError || error instanceof TableError;
}
