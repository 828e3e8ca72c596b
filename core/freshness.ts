import { type HealthState, healthState } from './model/score.ts';
import type { SiteState } from './model/site-state.ts';
import type { Freshness } from './model/view.ts';

/** How many intervals a report stays fresh when the site's owner set no tolerance. */
const FRESH_INTERVALS = 3;

/**
 * From when on the hub could have heard its sites (epoch ms): after it started, or after its reader caught up, whichever
 * is later. `caughtUp` is false while reports still wait in the log, when silence proves nothing; `trouble` is what its
 * reader can't get done, in words, where that is why.
 */
export type Hearing = { sinceMs: number; caughtUp: boolean; trouble?: string };

/** How long the newest report of a site stays fresh, in ms. */
export function toleranceMs(intervalMs: number, offlineToleranceMs?: number): number {
  return offlineToleranceMs ?? intervalMs * FRESH_INTERVALS;
}

/**
 * Judges by receive time only. A site that never reported has no state and is judged from when it joined, as
 * `registeredAtMs`, with the default tolerance of 30 s; null says that nobody has joined it yet, and it is awaited.
 */
export function freshness(
  site: { state: SiteState | null; registeredAtMs: number | null; offlineToleranceMs?: number | undefined },
  hearing: Hearing,
  nowMs: number,
): Freshness {
  const tolerance = toleranceMs(site.state?.intervalMs ?? 10_000, site.offlineToleranceMs);
  const heardAtMs = site.state?.receivedAtMs ?? site.registeredAtMs;
  if (heardAtMs === null) return 'unheard';
  if (site.state !== null && nowMs - heardAtMs <= tolerance) return 'heard';
  if (!hearing.caughtUp || nowMs - Math.max(heardAtMs, hearing.sinceMs) <= tolerance) return 'unheard';
  return 'silent';
}

/** What a site is shown as: its score's colour while fresh, unknown otherwise. */
export function shownState(state: SiteState | null, fresh: Freshness): HealthState {
  return state !== null && fresh === 'heard' ? healthState(state.shown) : 'unknown';
}
