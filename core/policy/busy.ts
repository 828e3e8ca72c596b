import type { Rollout } from '../model/rollout.ts';
import type { Fault } from '../schema-faults.ts';
import type { Selector } from '../selector.ts';
import { selectorOf } from '../selector-of.ts';
import { type GuardedWorld, sharedSite } from './guards.ts';

/** Whether sites of the stage that it is at have, or are about to have, what was not yet promoted. */
export function isOnItsWay({ phase, stages, stage }: Rollout['spec']): boolean {
  const at = stages[stage]?.phase ?? 'waiting';
  return phase !== 'completed' && ['rolling', 'soaking', 'passed', 'failed'].includes(at);
}

/** Whether that has not passed yet. */
export function isUnverified(spec: Rollout['spec']): boolean {
  return isOnItsWay(spec) && spec.stages[spec.stage]?.phase !== 'passed';
}

/**
 * Another policy whose stage is not verified yet holds the sites that this one is about to change; null when none does. The one
 * judge of `apply`, `promote` and `plan`.
 */
export function busyFault(
  virtualSite: string,
  others: Iterable<Rollout['spec']>,
  world: GuardedWorld,
): Omit<Fault, 'pointer'> | null {
  const wanted = selectorNamed(virtualSite, world);
  for (const spec of others) {
    const there = spec.stages[spec.stage]?.virtualSite;
    if (there === undefined || !isUnverified(spec)) continue;
    const site = sharedSite(wanted, selectorNamed(there, world), world);
    if (site === null && there !== virtualSite) continue;
    const { kind, name } = spec.policy;
    return {
      problem: `${kind} ${name}, generation ${spec.generation}, is not verified at ${there} yet${site === null ? '' : `, which shares site ${site} with ${virtualSite}`}`,
      remedy: `one at a time, so that it is known whose doing it is: wait until it passed, or \`plumbline rollout rollback ${kind}/${name}\``,
    };
  }
  return null;
}

function selectorNamed(name: string, world: GuardedWorld): Selector | null {
  const found = world.virtualSite(name);
  return found === undefined ? null : selectorOf(found.spec);
}
