import type { Violation } from '../model/plan.ts';
import { busyFault } from './busy.ts';
import { digestOf } from './digest.ts';
import type { GuardedWorld } from './guards.ts';
import type { PlanInput } from './plan.ts';

/** Of content that failed its verification. */
export const REMEDY_OF_FAILED =
  'change it, or, when the cause lay elsewhere, begin it anew with `plumbline apply -f <file> --retry`';

/** What keeps a rollout from beginning though nothing of its document is wrong. */
export function notBegun(
  { document: { spec, rollout }, failedDigests, rollouts }: PlanInput,
  world: GuardedWorld,
): Violation[] {
  const failed = {
    pointer: '/spec',
    virtualSite: '',
    problem: 'this very content failed its verification before',
    remedy: REMEDY_OF_FAILED,
  };
  const virtualSite = rollout.stages[0]?.virtualSite ?? '';
  const busy = busyFault(virtualSite, rollouts, world);
  return [
    ...(failedDigests.includes(digestOf(spec)) ? [failed] : []),
    ...(busy === null ? [] : [{ pointer: '/rollout/stages/0/virtualSite', virtualSite, ...busy }]),
  ];
}
