import type { VirtualSiteSpec } from '../model/resource.ts';
import type { Assignment } from '../model/signed.ts';
import type { Labels, SiteKind } from '../model/site.ts';
import { matches, type Requirement, type Selector } from '../selector.ts';
import { selectorOf } from '../selector-of.ts';
import { durationMs } from './strategy.ts';

/** The virtual sites and sites that guards are read of: control's own, or what a plan takes them to be. */
export type GuardedWorld = {
  virtualSite(name: string): { spec: VirtualSiteSpec } | undefined;
  allVirtualSites(): Iterable<{ metadata: { name: string }; spec: VirtualSiteSpec }>;
  allSites(): Iterable<{ metadata: { name: string }; spec: { labels: Labels; kind?: SiteKind } }>;
};

/** A guard that holds somewhere, and whose it is. */
export type Held = {
  virtualSite: string;
  guard: NonNullable<VirtualSiteSpec['guard']>;
  /** A site by which it holds at another virtual site, too; null at its own. */
  site: string | null;
};

/** What a signed assignment holds of networks. */
const MAX_FORBIDDEN = 256;

/**
 * The guards that hold at a virtual site, its own first: a guard is for sites, so it holds at every virtual site that has one
 * of its sites, whoever made that and whatever it is called.
 */
export function guardsAt(name: string, world: GuardedWorld): Held[] {
  const own = world.virtualSite(name)?.spec;
  const selector = own === undefined ? null : selectorOf(own);
  if (own === undefined) return [];
  const held: Held[] = own.guard === undefined ? [] : [{ virtualSite: name, guard: own.guard, site: null }];
  if (selector === null) return held;
  for (const { metadata, spec } of world.allVirtualSites()) {
    if (spec.guard === undefined || metadata.name === name) continue;
    const site = sharedSite(selector, selectorOf(spec), world);
    if (site !== null) held.push({ virtualSite: metadata.name, guard: spec.guard, site });
  }
  return held;
}

/** What of guards a site checks, all of them united, as it travels in a target. */
export function railsOf(held: readonly Held[]): Assignment['guard'] {
  const forbidden = [...new Set(held.flatMap(({ guard }) => guard.forbidden ?? []))];
  const widest = held.flatMap(({ guard }) => guard.widestCidr ?? []);
  // Beyond what an assignment holds the hub alone checks, which it did with each guard on its own.
  return {
    forbidden: forbidden.slice(0, MAX_FORBIDDEN),
    widestCidr: widest.length === 0 ? null : Math.max(...widest),
  };
}

/** The longest that any of them asks for. */
export function minSoakMs(held: readonly Held[]): number {
  return Math.max(
    0,
    ...held.map(({ guard }) => (guard.minSoak === undefined ? 0 : durationMs(guard.minSoak))),
  );
}

/** The first that asks for approval. */
export function asksApproval(held: readonly Held[]): Held | undefined {
  return held.find(({ guard }) => guard.approval === 'required');
}

/** Whose guard it is, for whoever named another virtual site. */
export function ownerOf({ virtualSite, site }: Held): string {
  return `virtual site ${virtualSite}${site === null ? '' : `, to which site ${site} belongs too`}`;
}

/** The first site of both, by given labels. */
export function sharedSite(a: Selector | null, b: Selector | null, world: GuardedWorld): string | null {
  if (a === null || b === null || a.some((one) => b.some((other) => excludes(one, other)))) return null;
  for (const { metadata, spec } of world.allSites())
    if (matches(a, spec.labels) && matches(b, spec.labels)) return metadata.name;
  return null;
}

/** That no labels can meet both, as env=test and env=prod, saves looking at every site. */
function excludes(a: Requirement, b: Requirement): boolean {
  return (
    a.key === b.key &&
    a.operator === 'In' &&
    b.operator === 'In' &&
    !a.values.some((value) => b.values.includes(value))
  );
}
