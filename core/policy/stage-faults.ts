import type { AllowlistDocument, AllowlistSpec, Stage, Strategy } from '../model/allowlist.ts';
import type { VirtualSiteSpec } from '../model/resource.ts';
import { MAX_POLICIES_A_SITE } from '../model/signed.ts';
import type { SiteKind } from '../model/site.ts';
import type { Fault } from '../schema-faults.ts';
import { matches } from '../selector.ts';
import { selectorOf } from '../selector-of.ts';
import { reservedLabel } from '../site-labels.ts';
import { guardFaults } from './guard.ts';
import { type GuardedWorld, guardsAt, minSoakMs, ownerOf, railsOf } from './guards.ts';
import { policyCount } from './policy-count.ts';
import { stagePlan } from './strategy.ts';
import { isSupported } from './supported.ts';

/** What an assignment in a signed target holds of a selector. */
const MAX_REQUIREMENTS = 64;

export type StageWorld = GuardedWorld & {
  /** What a site says it is; null while it has said nothing. */
  kindOf(site: string): SiteKind | null;
  /** All policies besides the one that is judged, by the virtual sites that each goes to. */
  others: readonly { virtualSites: readonly string[] }[];
};

/** Pointers are into the document. `virtualSite` is the one of the stage. */
export type StageFault = Fault & {
  code: 'invalid-document' | 'guard-rail' | 'too-large';
  virtualSite: string;
};

/**
 * Why an allowlist can't go to the virtual sites that its stages name. The one judge of `apply`, which takes the first, and
 * of `plan` and `validate`, which tell all of them.
 */
export function* stageFaults(
  { spec, rollout }: Pick<AllowlistDocument, 'spec' | 'rollout'>,
  world: StageWorld,
): Generator<StageFault> {
  for (const [i, stage] of rollout.stages.entries()) {
    const { virtualSite } = stage;
    const pointer = `/rollout/stages/${i}`;
    const found = world.virtualSite(virtualSite)?.spec;
    const own = { code: 'invalid-document', virtualSite, pointer: `${pointer}/virtualSite` } as const;
    if (found === undefined)
      yield {
        ...own,
        problem: `there is no virtual site ${virtualSite}`,
        remedy: 'apply it first, or name another (`plumbline get virtual-sites`)',
      };
    else {
      const unfit = selectorFault(virtualSite, found);
      if (unfit !== null) yield { ...own, ...unfit };
      yield* guardStageFaults(spec, stage, world, pointer);
      const unable = unsupported(rollout, virtualSite, found, world);
      if (unable !== null) yield { ...own, ...unable };
      const full = crowded(virtualSite, found, world);
      if (full !== null) yield { ...own, code: 'too-large', ...full };
    }
  }
}

/** A site controls what it says of itself; only what the hub gave it may decide what policy it has. */
export function selectorFault(name: string, spec: VirtualSiteSpec): Omit<Fault, 'pointer'> | null {
  const selector = selectorOf(spec);
  if (selector === null)
    return { problem: `the selector of virtual site ${name} can't be read`, remedy: 'apply it anew' };
  const said = reservedLabel(Object.fromEntries(selector.map(({ key }) => [key, ''])));
  if (said !== null)
    return {
      problem: `virtual site ${name} selects by ${said}, which sites say of themselves`,
      remedy: 'policy only goes by given labels, so label the sites and select by that',
    };
  if (selector.length > MAX_REQUIREMENTS)
    return {
      problem: `the selector of virtual site ${name} has ${selector.length} requirements`,
      remedy: `one that policy goes by has at most ${MAX_REQUIREMENTS}`,
    };
  return null;
}

/** By every guard that holds at the stage's sites, whosever it is. */
export function* guardStageFaults(
  spec: AllowlistSpec,
  stage: Stage,
  world: GuardedWorld,
  pointer: string,
): Generator<StageFault> {
  const { virtualSite } = stage;
  for (const held of guardsAt(virtualSite, world)) {
    const own = { code: 'guard-rail', virtualSite } as const;
    for (const fault of guardFaults(spec, railsOf([held])))
      yield {
        ...own,
        pointer: `/spec${fault.pointer}`,
        problem: `${fault.problem} (${ownerOf(held)})`,
        remedy: fault.remedy,
      };
    if (stagePlan(stage).soakMs < minSoakMs([held]))
      yield {
        ...own,
        pointer: `${pointer}/verify/soak`,
        problem: `the guard of ${ownerOf(held)} asks for a soak of ${held.guard.minSoak ?? ''} at least`,
        remedy: 'set verify.soak to that or more',
      };
  }
}

/** Sites that can't enforce it, unless the strategy leaves such sites out. */
function unsupported(
  { unsupportedSites = 'reject' }: Strategy,
  virtualSite: string,
  spec: VirtualSiteSpec,
  world: StageWorld,
): Omit<Fault, 'pointer'> | null {
  const selector = selectorOf(spec);
  if (unsupportedSites === 'exclude' || selector === null) return null;
  for (const { metadata, spec } of world.allSites()) {
    const { name } = metadata;
    if (isSupported(world.kindOf(name), spec.kind) || !matches(selector, spec.labels)) continue;
    return {
      problem: `site ${name} of virtual site ${virtualSite} is ${world.kindOf(name) ?? spec.kind}, for which this version has no enforcer`,
      remedy: 'leave such sites out of the virtual site, or write unsupportedSites: exclude',
    };
  }
  return null;
}

/** A site that would have more policies than it takes. */
function crowded(
  virtualSite: string,
  spec: VirtualSiteSpec,
  world: StageWorld,
): Omit<Fault, 'pointer'> | null {
  const own = selectorOf(spec);
  if (own === null || world.others.length < MAX_POLICIES_A_SITE) return null;
  const others = policyCount(world.others, world);
  for (const { metadata, spec } of world.allSites()) {
    if (!matches(own, spec.labels)) continue;
    const there = others(spec.labels);
    if (there < MAX_POLICIES_A_SITE) continue;
    return {
      problem: `site ${metadata.name} of virtual site ${virtualSite} has ${there} other policies, and ${MAX_POLICIES_A_SITE} is the most that a site takes`,
      remedy: 'delete one that it does not need, or join several into one',
    };
  }
  return null;
}
