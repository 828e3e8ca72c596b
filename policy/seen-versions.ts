import type { Site } from '../core/model/resource.ts';
import { rolloutName } from '../core/model/rollout.ts';
import { compareVersions, type IntentKind, type Version } from '../core/model/signed.ts';
import type { SiteState } from '../core/model/site-state.ts';
import type { Registry } from './registry.ts';
import type { PublishedDocuments } from './signing/published.ts';

type Newest = { kind: IntentKind; name: string; site: string; version: Version; generation: number };

/**
 * What sites say they have seen of each policy. A hub whose tables came back from a backup finds here that they know more
 * than it does: whatever it said next would carry versions and generations that mean something else to them.
 */
export class SeenVersions {
  #newest = new Map<string, Newest>();

  take(sites: ReadonlyMap<string, Site>, states: ReadonlyMap<string, SiteState>): void {
    const newest = new Map<string, Newest>();
    for (const [site, { policies = [] }] of states) {
      if (policies.length === 0 || !sites.has(site)) continue;
      for (const { kind, name, seen, generation } of policies) {
        const key = `${kind}/${name}`;
        const before = newest.get(key);
        const isNewer = before === undefined || compareVersions(seen, before.version) > 0;
        const highest = Math.max(generation, before?.generation ?? 0);
        newest.set(key, {
          ...(isNewer ? { kind, name, site, version: seen } : before),
          generation: highest,
        });
      }
    }
    this.#newest = newest;
  }

  generations(): Record<string, number> {
    return Object.fromEntries([...this.#newest].map(([policy, { generation }]) => [policy, generation]));
  }

  /** A site that is ahead of this hub, or null. */
  ahead(registry: Registry, documents: PublishedDocuments): (Newest & { own: Version | null }) | null {
    for (const newest of this.#newest.values()) {
      const { kind, name, version } = newest;
      const published = documents.target(kind, name)?.body.version ?? null;
      const decided = registry.rollout(rolloutName(kind, name))?.spec.version ?? null;
      const own =
        published === null || (decided !== null && compareVersions(decided, published) > 0)
          ? decided
          : published;
      if (version.n > 0 && (own === null || compareVersions(version, own) > 0)) return { ...newest, own };
    }
    return null;
  }
}
