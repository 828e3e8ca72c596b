import type { AllowlistDocument, AllowlistSpec, Stage } from '../../core/model/allowlist.ts';
import { MOST_ERRORS, type VirtualSiteSpec } from '../../core/model/resource.ts';
import { busyFault } from '../../core/policy/busy.ts';
import {
  guardStageFaults,
  type StageFault,
  selectorFault,
  stageFaults,
} from '../../core/policy/stage-faults.ts';
import type { PolicyFacts } from '../policy-facts.ts';
import type { Registered } from '../registry.ts';
import { coursesOf } from '../rollout/assigned.ts';
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
  return refusal(stageFaults({ spec, rollout }, world));
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
  return refusal(guardStageFaults(spec, stage, registered, pointer));
}

/** For the first of them, with all. */
function refusal(faults: Iterable<StageFault>): Outcome | null {
  const all = [...faults];
  const [first] = all;
  if (first === undefined) return null;
  const { code, problem, remedy, pointer } = first;
  const errors = all.map((one) => ({ pointer: one.pointer, detail: `${one.problem}; ${one.remedy}` }));
  return refuse(code, `${problem}; ${remedy}`, pointer, errors.slice(0, MOST_ERRORS));
}

/** Why another policy's rollout keeps this one from a virtual site, or null. */
export function busy(policy: string, virtualSite: string, registered: Registered): Outcome | null {
  const others = [...registered.allRollouts()].flatMap(({ spec }) =>
    spec.policy.name === policy ? [] : [spec],
  );
  const fault = busyFault(virtualSite, others, registered);
  return fault === null ? null : refuse('rollout-busy', `${fault.problem}; ${fault.remedy}`);
}
