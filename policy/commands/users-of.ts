import type { Rollout } from '../../core/model/rollout.ts';
import type { Registered } from '../registry.ts';
import { coursesOf } from '../rollout/assigned.ts';

/** The rollouts of policies that are, or are to be, at a virtual site. */
export function usersOf(virtualSite: string, registered: Registered): Rollout[] {
  return [...registered.allRollouts()].filter(({ spec }) =>
    coursesOf(spec).some((course) => course.virtualSite === virtualSite),
  );
}
