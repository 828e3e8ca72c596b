import type { VirtualSiteSpec } from '../model/resource.ts';
import type { Labels } from '../model/site.ts';
import { matches } from '../selector.ts';
import { selectorOf } from '../selector-of.ts';

type Policies = readonly { virtualSites: readonly string[] }[];
type World = { virtualSite(name: string): { spec: VirtualSiteSpec } | undefined };

/** How many of the policies, by the virtual sites that each goes to, a site of given labels has. Selectors are read once. */
export function policyCount(policies: Policies, world: World): (labels: Labels) => number {
  const selectors = [...new Set(policies.flatMap(({ virtualSites }) => virtualSites))].flatMap((name) => {
    const found = world.virtualSite(name)?.spec;
    const selector = found === undefined ? null : selectorOf(found);
    return selector === null ? [] : [[name, selector] as const];
  });
  return (labels) => {
    const at = new Set(selectors.flatMap(([name, selector]) => (matches(selector, labels) ? [name] : [])));
    return policies.filter(({ virtualSites }) => virtualSites.some((name) => at.has(name))).length;
  };
}
