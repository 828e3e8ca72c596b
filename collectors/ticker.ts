import type { Clock } from '../core/ports/clock.ts';

const REMEMBERED_TICKS = 30;

export type Ticker = {
  start(): void;
  /** Resolves once no tick runs any more. */
  stop(): Promise<void>;
  /** Ticks among the last 30 that made nothing. */
  missed(): number;
};

/**
 * Calls `tick` at start + n × interval by the monotonic clock, so that lateness never adds up; never twice at a time. A
 * tick whose whole interval went by while another ran, or while the machine was too busy, is left out and counted.
 */
export function createTicker(options: {
  intervalMs: number;
  clock: Clock;
  /** Whether it made what it is for. A rejection is a bug and is not caught. */
  tick: () => Promise<boolean>;
}): Ticker {
  const { intervalMs, clock, tick } = options;
  let made: boolean[] = [];
  let dueMs = 0;
  let timer: NodeJS.Timeout | null = null;
  let running: Promise<void> | null = null;
  let stopped = true;

  const note = (wasMade: boolean): void => {
    made = [...made, wasMade].slice(-REMEMBERED_TICKS);
  };

  async function run(): Promise<void> {
    noteSkipped();
    note(await tick());
    dueMs += intervalMs;
    noteSkipped();
    running = null;
    schedule();
  }

  function noteSkipped(): void {
    for (; dueMs + intervalMs <= clock.monoMs(); dueMs += intervalMs) note(false);
  }

  function schedule(): void {
    if (stopped) return;
    timer = setTimeout(
      () => {
        running = run();
      },
      Math.max(0, dueMs - clock.monoMs()),
    );
  }

  return {
    start() {
      if (!stopped) return;
      stopped = false;
      dueMs = clock.monoMs();
      schedule();
    },
    async stop() {
      stopped = true;
      if (timer !== null) clearTimeout(timer);
      await running;
    },
    missed: () => made.filter((wasMade) => !wasMade).length,
  };
}
