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
  const others = [...world.allVirtualSites()].flatMap(({ metadata, spec }) => {
    const its = spec.guard === undefined || metadata.name === name ? null : selectorOf(spec);
    return spec.guard === undefined || its === null
      ? []
      : [{ virtualSite: metadata.name, guard: spec.guard, selector: its }];
  });
  const shared = sharedSites(selector, others, world);
  for (const other of others) {
    const site = shared.get(other);
    if (site !== undefined) held.push({ virtualSite: other.virtualSite, guard: other.guard, site });
  }
  return held;
}

/**
 * The first site of both, by given labels, for each of the others that has one. There may be a thousand of them and thousands
 * of sites: each site is looked at once, and asked only of those that a label of its own speaks for, and that are still open.
 */
function sharedSites<Other extends { selector: Selector }>(
  own: Selector,
  others: readonly Other[],
  world: GuardedWorld,
): Map<Other, string> {
  const shared = new Map<Other, string>();
  const open = byLabel(others);
  for (const { metadata, spec } of world.allSites()) {
    if (!matches(own, spec.labels)) continue;
    const labels = Object.entries(spec.labels).map(([key, value]) => `${key}=${value}`);
    for (const label of [NO_LABEL, ...labels]) {
      const asked = open.get(label);
      if (asked === undefined) continue;
      const met = asked.filter(({ selector }) => matches(selector, spec.labels));
      for (const other of met) if (!shared.has(other)) shared.set(other, metadata.name);
      if (met.length > 0)
        open.set(
          label,
          asked.filter((other) => !shared.has(other)),
        );
    }
  }
  return shared;
}

const NO_LABEL = '';

/** By the labels of which a site needs one to be selected; under no label where it may do without. */
function byLabel<Other extends { selector: Selector }>(others: readonly Other[]): Map<string, Other[]> {
  const found = new Map<string, Other[]>();
  for (const other of others) {
    const needed = other.selector.find(({ operator }) => operator === 'In');
    const labels = needed?.values.map((value) => `${needed.key}=${value}`) ?? [NO_LABEL];
    for (const label of labels) {
      const some = found.get(label) ?? [];
      some.push(other);
      found.set(label, some);
    }
  }
  return found;
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
