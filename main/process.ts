import { CommanderError } from 'commander';
import { ConfigError } from '../config-file.ts';
import type { Logger } from '../core/ports/logger.ts';
import { SiteError } from './site-error.ts';

const EXIT_USAGE = 2;
const STOP_WITHIN_MS = 15_000;

export type Stop = {
  readonly signal: AbortSignal;
  /** Adds what to do on the way down; the last added is done first. */
  undo(step: () => Promise<void>): void;
  now(reason: string): void;
};

/** Stops in reverse order at the first SIGINT or SIGTERM; the second one ends the process at once. */
export function onStopSignal(logger: Logger): Stop {
  const controller = new AbortController();
  const undos: (() => Promise<void>)[] = [];
  const stop = async (reason: string, exitCode: number) => {
    if (controller.signal.aborted) process.exit(130);
    controller.abort();
    logger.info({ reason }, 'process.stopping');
    setTimeout(() => {
      logger.error({ withinMs: STOP_WITHIN_MS }, 'process.stop-timed-out');
      process.exit(1);
    }, STOP_WITHIN_MS).unref();
    for (const undo of undos.toReversed()) await undo();
    process.exit(exitCode);
  };
  process.on('SIGINT', () => stop('SIGINT', 0));
  process.on('SIGTERM', () => stop('SIGTERM', 0));
  return {
    signal: controller.signal,
    undo: (step) => undos.push(step),
    now(reason) {
      process.stderr.write(`plumbline: ${reason}; this one ends.\n`);
      void stop(reason, 1);
    },
  };
}

/** What a person did wrong is one line and no stack; anything else is a bug and shows where. */
export function fail(error: unknown): never {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (error instanceof Error && error.name === 'AbortError') process.exit(0);
  // Commander has printed its own message; only its help ends well.
  if (error instanceof CommanderError) process.exit(error.exitCode === 0 ? 0 : EXIT_USAGE);
  const isUsage = error instanceof ConfigError || error instanceof SiteError || code === 'tls-unusable';
  if (error instanceof Error && isUsage) {
    process.stderr.write(`plumbline: ${error.message}\n`);
    process.exit(EXIT_USAGE);
  }
  if (error instanceof Error && EXPECTED.has(code)) {
    const remedy = REMEDIES[code];
    process.stderr.write(`plumbline: ${error.message}${remedy === undefined ? '' : `; ${remedy}`}\n`);
    process.exit(1);
  }
  process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
  process.exit(1);
}

/** Codes of what the surroundings can do to a start, each with a message that says what to do. */
const EXPECTED: ReadonlySet<string> = new Set([
  'locked',
  'unavailable',
  'rejected',
  'EADDRINUSE',
  'EADDRNOTAVAIL',
  'EACCES',
  'ENOSPC',
]);

const REMEDIES: Readonly<Record<string, string>> = {
  EADDRINUSE: 'stop what listens there, or choose another with --listen (port 0 picks a free one)',
  EADDRNOTAVAIL: 'this machine does not have that address; correct --listen',
  EACCES: 'choose a port above 1023 with --listen, or a data directory that you may write to',
};
