import { describe, expect, test } from 'vitest';
import type { VirtualSiteSpec } from '../../../core/model/resource.ts';
import { type GuardedWorld, guardsAt } from '../../../core/policy/guards.ts';

const GUARD = { minSoak: '1h' };

/** Sites by their labels, and virtual sites by selector, all of them guarded but `own`. */
function world(
  selectors: Record<string, VirtualSiteSpec['selector']>,
  sites: readonly Record<string, string>[],
): { world: GuardedWorld; looks: () => number } {
  let looks = 0;
  const all = Object.entries(selectors).map(([name, selector]) => ({
    metadata: { name },
    spec: name === 'own' ? { selector } : { selector, guard: GUARD },
  }));
  return {
    world: {
      virtualSite: (name) => all.find(({ metadata }) => metadata.name === name),
      allVirtualSites: () => all,
      *allSites() {
        for (const [i, labels] of sites.entries()) {
          looks += 1;
          yield { metadata: { name: `s${i}` }, spec: { labels } };
        }
      },
    },
    looks: () => looks,
  };
}

const SITES = [
  { env: 'test', region: 'jp' },
  { env: 'prod', region: 'jp' },
  { env: 'prod', region: 'kr', pci: 'yes' },
];

describe('the guards that hold at a virtual site', () => {
  test.each<[string, VirtualSiteSpec['selector'], string | null]>([
    ['the same sites', 'env=prod', 's1'],
    ['everything', '', 's1'],
    ['some of several values', 'region in (kr,us)', 's2'],
    ['a label alone', 'pci', 's2'],
    ['what lacks a label', '!pci', 's1'],
    ['anything but', 'region notin (jp)', 's2'],
    ['two requirements of which a site of its own meets one', 'region in (jp),pci', null],
    ['two requirements', 'env in (prod,test),pci', 's2'],
    ['only others', 'env=test', null],
    ['nothing', 'env=dev', null],
  ])('are those of one that selects %s', (_what, selector, site) => {
    const held = guardsAt('own', world({ own: 'env=prod', other: selector }, SITES).world);
    expect(held).toEqual(site === null ? [] : [{ virtualSite: 'other', guard: GUARD, site }]);
  });

  test('are found by one look at each site', () => {
    const stores = Array.from({ length: 300 }, (_, i) => ({ env: 'prod', store: `x${i}` }));
    const selectors = stores.map(({ store }, i) => [`v${i}`, `store=${store}`]);
    const { world: known, looks } = world({ own: 'env=prod', ...Object.fromEntries(selectors) }, stores);
    const held = guardsAt('own', known);
    expect(looks()).toBe(stores.length);
    expect(held.map(({ virtualSite, site }) => [virtualSite, site])).toEqual(
      stores.map((_, i) => [`v${i}`, `s${i}`]),
    );
  });
});
