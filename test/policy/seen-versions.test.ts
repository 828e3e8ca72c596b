import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Site } from '../../core/model/resource.ts';
import type { SiteState } from '../../core/model/site-state.ts';
import { SeenVersions } from '../../policy/seen-versions.ts';
import { PublishedDocuments } from '../../policy/signing/published.ts';
import { NOON, siteState } from './control-parts.ts';

type Policies = NonNullable<SiteState['policies']>;

const NOTHING = new PublishedDocuments();

function policy(name: string, n: number, generation: number, epoch = 1): Policies[number] {
  const standing = { digest: 'x'.repeat(43), mode: 'enforce', phase: 'applied' } as const;
  return {
    kind: 'Allowlist',
    name,
    seen: { epoch, n },
    generation,
    live: true,
    unexpectedDenies: 0,
    ...standing,
  };
}

function siteOf(name: string): Site {
  const metadata = { name, uid: name, createdAtMs: 0, updatedAtMs: 0, revision: 1, updatedBy: '' };
  const spec = { labels: {}, labelsSinceMs: 0, keyEpoch: 1 };
  return { apiVersion: 'plumbline.io/v1', kind: 'Site', metadata, spec };
}

/** Sites by name, with what they say of policies. */
function saying(said: Record<string, Policies>) {
  const names = Object.keys(said);
  return {
    sites: new Map(names.map((name) => [name, siteOf(name)])),
    states: new Map(names.map((name) => [name, siteState(name, NOON, { policies: said[name] ?? [] })])),
  };
}

function take(seen: SeenVersions, said: Record<string, Policies>): SeenVersions {
  const { sites, states } = saying(said);
  seen.take(sites, states, NOTHING, 1);
  return seen;
}

describe('what sites say they have seen', () => {
  it('is not believed above what the hub can have said, and then counts for nothing', () => {
    const seen = new SeenVersions();
    for (const lie of [policy('p', 1, 1e9), policy('p', 1e9, 1), policy('p', 1, 1, 5000)]) {
      take(seen, { honest: [policy('p', 7, 3)], liar: [lie] });
      expect(seen.claims).toMatchObject([{ site: 'liar' }]);
      expect(seen.generations()).toEqual({ 'Allowlist/p': 3 });
      expect(seen.highestEpoch()).toBe(1);
    }
    take(seen, { honest: [policy('p', 7, 3)] });
    expect(seen.claims).toEqual([]);
  });

  it('comes to the same taken bit by bit as at once', () => {
    const said = fc.dictionary(
      fc.constantFrom('a', 'b', 'c', 'd'),
      fc
        .array(
          fc
            .tuple(fc.constantFrom('p', 'q', 'r'), fc.nat(4), fc.nat(4), fc.constantFrom(1, 2, 9000))
            .map((part) => policy(...part)),
          { maxLength: 3 },
        )
        .map((all) => [...new Map(all.map((one) => [one.name, one])).values()]),
    );
    fc.assert(
      fc.property(fc.array(said, { minLength: 1, maxLength: 8 }), (steps) => {
        const seen = new SeenVersions();
        for (const step of steps) {
          take(seen, step);
          const anew = take(new SeenVersions(), step);
          expect(seen.generations()).toEqual(anew.generations());
          expect(seen.highestEpoch()).toBe(anew.highestEpoch());
          expect(new Set(seen.claims)).toEqual(new Set(anew.claims));
        }
      }),
    );
  });

  it('is not read again where nobody said anything new', () => {
    let reads = 0;
    const { sites, states } = saying({ a: [policy('p', 1, 1)] });
    for (const [site, state] of states) {
      const counted = {
        get policies() {
          reads++;
          return state.policies;
        },
      };
      states.set(site, Object.defineProperties({ ...state }, Object.getOwnPropertyDescriptors(counted)));
    }
    const seen = new SeenVersions();
    seen.take(sites, states, NOTHING, 1);
    const once = reads;
    expect(once).toBeGreaterThan(0);
    seen.take(sites, states, NOTHING, 1);
    expect(reads).toBe(once);
  });
});
