/** Bounds of the wait before a site dials its hub again. */
export type RedialTiming = { backoffMinMs: number; backoffMaxMs: number };

/**
 * One interval at most, of the three after which a site counts as silent: a hub that was away for a moment has heard all of
 * them in time.
 */
export const REDIAL: RedialTiming = { backoffMinMs: 1000, backoffMaxMs: 10_000 };

/**
 * How long a site waits until it dials again, `random` from 0 up to 1. The first wait spreads a fleet that lost its hub
 * together over the longest one, and as all others are that, it stays so spread, however long the hub is away: of 3,000 sites
 * some 330 come back a second. `refused`: only a person can help, and nobody waits for it.
 */
export function redialAfterMs(
  { backoffMinMs, backoffMaxMs }: RedialTiming,
  why: 'lost' | 'still-away' | 'refused',
  random: number,
): number {
  const between = (least: number, most: number) => least + random * (most - least);
  switch (why) {
    case 'lost':
      return between(backoffMinMs, backoffMaxMs);
    case 'still-away':
      return backoffMaxMs;
    case 'refused':
      return between(1.5 * backoffMaxMs, 3 * backoffMaxMs);
  }
}
