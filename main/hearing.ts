import type { Hearing } from '../core/freshness.ts';
import type { Clock } from '../core/ports/clock.ts';
import { isOutage } from './lasting.ts';

const LOOK_EVERY_MS = 1000;

/**
 * Since when this hub hears its sites: from the moment at which its aggregator had read all but a batch of what was
 * waiting, after its start or after it had fallen behind. Asked once a second, so that everybody who judges freshness reads one answer.
 */
export function openHearing(
  clock: Clock,
  aggregator: { keepsUp(): Promise<boolean>; trouble(): string | null },
) {
  let hearing: Hearing = { sinceMs: clock.nowMs(), caughtUp: false };
  let timer: NodeJS.Timeout | undefined;
  const look = async () => {
    const now = await aggregator.keepsUp().catch(whileAway);
    const why = aggregator.trouble();
    if (now && !hearing.caughtUp) hearing = { sinceMs: clock.nowMs(), caughtUp: true };
    else hearing = { sinceMs: hearing.sinceMs, caughtUp: now, ...(why !== null && { trouble: why }) };
    timer = setTimeout(look, LOOK_EVERY_MS).unref();
  };
  return {
    now: (): Hearing => hearing,
    start: look,
    async stop() {
      clearTimeout(timer);
    },
  };
}

/** While the log does not answer, nobody has heard anything. */
function whileAway(error: unknown): boolean {
  if (isOutage(error)) return false;
  throw error;
}
