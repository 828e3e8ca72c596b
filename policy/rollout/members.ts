import { isSupported } from '../../core/policy/supported.ts';
import { matches, type Selector } from '../../core/selector.ts';
import { selectorOf } from '../../core/selector-of.ts';
import type { Registered, Registry } from '../registry.ts';
import type { SiteStates } from '../site-states.ts';
import { coursesOf, type RolloutSpec, stageOf } from './assigned.ts';
import { targetContent } from './target.ts';

/** The sites that a stage is about: those of its virtual site that no earlier one of the policy has. */
function stageMembers(spec: RolloutSpec, virtualSite: string, registered: Registered): string[] {
  const names = coursesOf(spec).map((course) => course.virtualSite);
  const selectors: Selector[] = [];
  for (const name of names.slice(0, names.indexOf(virtualSite) + 1)) {
    const found = registered.virtualSite(name);
    const selector = found === undefined ? null : selectorOf(found.spec);
    // As in the target: one that is gone selects nobody.
    if (selector !== null) selectors.push(selector);
    else if (name === virtualSite) return [];
  }
  const own = selectors.length - 1;
  const members: string[] = [];
  for (const { metadata, spec: site } of registered.allSites())
    if (selectors.findIndex((selector) => matches(selector, site.labels)) === own)
      members.push(metadata.name);
  return members;
}

/** The sites to which the rollout has not brought its generation, nor is about to: what happens to them is not its doing. */
export function withoutGeneration(spec: RolloutSpec, registered: Registered): string[] {
  const { assignments } = targetContent(spec, registered);
  const sites: string[] = [];
  for (const { metadata, spec: site } of registered.allSites()) {
    const own = assignments.find(({ selector }) => matches(selector, site.labels));
    const has = [own?.current, own?.next].some((one) => one?.generation === spec.generation);
    if (!has) sites.push(metadata.name);
  }
  return sites;
}

/** Of these, less the ones that can't enforce it, where the strategy leaves them out; of the stage that it is at unless told. */
export function supportedMembers(
  spec: RolloutSpec,
  registry: Registry,
  states: Pick<SiteStates, 'all'>,
  virtualSite = stageOf(spec).status.virtualSite,
): string[] {
  const members = stageMembers(spec, virtualSite, registry);
  if (spec.strategy.unsupportedSites !== 'exclude') return members;
  return members.filter((site) =>
    isSupported(states.all.get(site)?.kind ?? null, registry.site(site)?.spec.kind),
  );
}
