import type { AllowlistSpec, Stage, Strategy } from '../../core/model/allowlist.ts';
import type { VirtualSiteSpec } from '../../core/model/resource.ts';
import { rolloutName } from '../../core/model/rollout.ts';
import { guardFaults } from '../../core/policy/guard.ts';
import { stagePlan } from '../../core/policy/strategy.ts';
import { matches, type Selector } from '../../core/selector.ts';
import { reservedLabel } from '../../core/site-labels.ts';
import { guardsAt, minSoakMs, ownerOf, railsOf, sharedSite } from '../guard-of.ts';
import type { PolicyFacts } from '../policy-facts.ts';
import type { Registered } from '../registry.ts';
import { isUnverified, stageOf } from '../rollout/assigned.ts';
import { isSupported } from '../rollout/supported.ts';
import { selectorOf } from '../selector-of.ts';
import { type Outcome, refuse } from './outcome.ts';

/** What an assignment in a signed target holds of a selector. */
const MAX_REQUIREMENTS = 64;

/** Why the strategy's stages can't be what they are, or null. */
export function unfitStages(
  spec: AllowlistSpec,
  strategy: Strategy,
  registered: Registered,
  facts: PolicyFacts,
): Outcome | null {
  for (const [i, stage] of strategy.stages.entries()) {
    const pointer = `/rollout/stages/${i}`;
    const virtualSite = registered.virtualSite(stage.virtualSite)?.spec;
    if (virtualSite === undefined)
      return refuse(
        'invalid-document',
        `there is no virtual site ${stage.virtualSite}; apply it first, or name another (\`plumbline get virtual-sites\`)`,
        `${pointer}/virtualSite`,
      );
    const unfit =
      unfitSelector(stage.virtualSite, virtualSite, `${pointer}/virtualSite`) ??
      brokenGuard(spec, stage, registered, pointer) ??
      unsupported(strategy, stage.virtualSite, `${pointer}/virtualSite`, registered, facts);
    if (unfit !== null) return unfit;
  }
  return null;
}

/** A site controls what it says of itself; only what the hub gave it may decide what policy it has. */
export function unfitSelector(name: string, spec: VirtualSiteSpec, pointer: string): Outcome | null {
  const selector = selectorOf(spec);
  if (selector === null)
    return refuse('invalid-document', `the selector of virtual site ${name} can't be read`, pointer);
  const said = reservedLabel(Object.fromEntries(selector.map(({ key }) => [key, ''])));
  if (said !== null)
    return refuse(
      'invalid-document',
      `virtual site ${name} selects by ${said}, which sites say of themselves; policy only goes by given labels, so label the sites and select by that`,
      pointer,
    );
  if (selector.length > MAX_REQUIREMENTS)
    return refuse(
      'invalid-document',
      `the selector of virtual site ${name} has ${selector.length} requirements; one that policy goes by has at most ${MAX_REQUIREMENTS}`,
      pointer,
    );
  return null;
}

/** A site that can't enforce it, unless the strategy leaves such sites out. */
function unsupported(
  { unsupportedSites = 'reject' }: Strategy,
  virtualSite: string,
  pointer: string,
  registered: Registered,
  facts: PolicyFacts,
): Outcome | null {
  const selector = selectorNamed(virtualSite, registered);
  if (unsupportedSites === 'exclude' || selector === null) return null;
  for (const { metadata, spec } of registered.allSites()) {
    const { name } = metadata;
    if (isSupported(facts.kindOf(name), spec.kind) || !matches(selector, spec.labels)) continue;
    return refuse(
      'invalid-document',
      `site ${name} of virtual site ${virtualSite} is ${facts.kindOf(name) ?? spec.kind}, for which this version has no enforcer; leave such sites out of the virtual site, or write unsupportedSites: exclude`,
      pointer,
    );
  }
  return null;
}

/** Why a guard that holds at the stage's sites keeps the allowlist from them; null when none does. */
export function brokenGuard(
  spec: AllowlistSpec,
  stage: Stage,
  registered: Registered,
  pointer: string,
): Outcome | null {
  for (const held of guardsAt(stage.virtualSite, registered)) {
    const [fault] = guardFaults(spec, railsOf([held]));
    if (fault !== undefined)
      return refuse(
        'guard-rail',
        `${fault.problem} (${ownerOf(held)}); ${fault.remedy}`,
        `/spec${fault.pointer}`,
      );
    if (stagePlan(stage).soakMs < minSoakMs([held]))
      return refuse(
        'guard-rail',
        `the guard of ${ownerOf(held)} asks for a soak of ${held.guard.minSoak ?? ''} at least; set verify.soak to that or more`,
        `${pointer}/verify/soak`,
      );
  }
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
