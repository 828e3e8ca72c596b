export const COMPONENTS = ['connectivity', 'reliability', 'security', 'performance'] as const;
export type Component = (typeof COMPONENTS)[number];

/** What a site is shown as, from the capped score and its freshness. `unknown` is not healthy. */
export const HEALTH_STATES = ['green', 'orange', 'red', 'unknown'] as const;
export type HealthState = (typeof HEALTH_STATES)[number];
/** What people call the states; beside a colour there is always such a word. */
export const HEALTH_WORDS: Readonly<Record<HealthState, string>> = {
  green: 'healthy',
  orange: 'degraded',
  red: 'failing',
  unknown: 'unknown',
};

/** Above 75 green, 40 to 75 inclusive orange, below 40 red; null (nothing observed) is unknown. */
export function healthState(shown: number | null): HealthState {
  if (shown === null) return 'unknown';
  if (shown > 75) return 'green';
  return shown >= 40 ? 'orange' : 'red';
}
