import type { AllowlistDocument, AllowlistSpec, Stage } from '../../core/model/allowlist.ts';
import type { VirtualSiteSpec } from '../../core/model/resource.ts';
import { rolloutName } from '../../core/model/rollout.ts';
import { sharedSite } from '../../core/policy/guards.ts';
import {
  guardStageFaults,
  type StageFault,
  selectorFault,
  stageFaults,
} from '../../core/policy/stage-faults.ts';
import type { Selector } from '../../core/selector.ts';
import { selectorOf } from '../../core/selector-of.ts';
import type { PolicyFacts } from '../policy-facts.ts';
import type { Registered } from '../registry.ts';
import { coursesOf, isUnverified, stageOf } from '../rollout/assigned.ts';
import { type Outcome, refuse } from './outcome.ts';

/** Why the strategy's stages can't be what they are, or null. */
export function unfitStages(
  { metadata, spec, rollout }: AllowlistDocument,
  registered: Registered,
  { kindOf }: PolicyFacts,
): Outcome | null {
  const world = {
    virtualSite: (name: string) => registered.virtualSite(name),
    allVirtualSites: () => registered.allVirtualSites(),
    allSites: () => registered.allSites(),
    kindOf,
    others: [...registered.allRollouts()]
      .filter((other) => other.spec.policy.name !== metadata.name)
      .map((other) => ({ virtualSites: coursesOf(other.spec).map(({ virtualSite }) => virtualSite) })),
  };
  return firstOf(stageFaults({ spec, rollout }, world));
}

/** Why a virtual site that a policy goes to can't be what it would be, or null. */
export function unfitSelector(name: string, spec: VirtualSiteSpec, pointer: string): Outcome | null {
  const fault = selectorFault(name, spec);
  return fault === null ? null : refuse('invalid-document', `${fault.problem}; ${fault.remedy}`, pointer);
}

/** Why a guard that holds at the stage's sites keeps the allowlist from them; null when none does. */
export function brokenGuard(
  spec: AllowlistSpec,
  stage: Stage,
  registered: Registered,
  pointer: string,
): Outcome | null {
  return firstOf(guardStageFaults(spec, stage, registered, pointer));
}

function firstOf(faults: Iterable<StageFault>): Outcome | null {
  for (const { code, problem, remedy, pointer } of faults)
    return refuse(code, `${problem}; ${remedy}`, pointer);
  return null;
}

/** Another policy whose stage is not verified yet holds the sites that this one is about to change; null when none does. */
export function busy(policy: string, virtualSite: string, registered: Registered): Outcome | null {
  const own = rolloutName('Allowlist', policy);
  const wanted = selectorNamed(virtualSite, registered);
  for (const { metadata, spec } of registered.allRollouts()) {
    if (metadata.name === own || !isUnverified(spec)) continue;
    const { status } = stageOf(spec);
    const site = sharedSite(wanted, selectorNamed(status.virtualSite, registered), registered);
    if (site === null && status.virtualSite !== virtualSite) continue;
    return refuse(
      'rollout-busy',
      `${spec.policy.kind} ${spec.policy.name}, generation ${spec.generation}, is not verified at ${status.virtualSite} yet${site === null ? '' : `, which shares site ${site} with ${virtualSite}`}; one at a time, so that it is known whose doing it is: wait until it passed, or \`plumbline rollout rollback ${spec.policy.kind}/${spec.policy.name}\``,
    );
  }
  return null;
}

function selectorNamed(name: string, registered: Registered): Selector | null {
  const virtualSite = registered.virtualSite(name);
  return virtualSite === undefined ? null : selectorOf(virtualSite.spec);
}
