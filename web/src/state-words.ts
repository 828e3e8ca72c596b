import type { HealthState } from '../../core/model/score.ts';

/** A state is always told by colour, shape and word together. */
export const STATE_WORDS: Record<HealthState, string> = {
  green: 'Healthy',
  orange: 'Degraded',
  red: 'Failing',
  unknown: 'Unknown',
};
