import type { Site } from '../core/model/resource.ts';
import { rolloutName } from '../core/model/rollout.ts';
import { compareVersions, type IntentKind, type Version } from '../core/model/signed.ts';
import type { SiteState } from '../core/model/site-state.ts';
import type { Registry } from './registry.ts';
import type { PublishedDocuments } from './signing/published.ts';

type Newest = { kind: IntentKind; name: string; site: string; version: Version; generation: number };

type Claim = { site: string; policy: string; epoch: number; n: number; generation: number };

/** How far above this hub's own epoch a site may be before nobody believes it; each `restore` raises it by one. */
const EPOCHS_AHEAD = 1_000;
/** No `n` or generation counts this far: at one a second it takes thirty years. */
const MOST_COUNTED = 1e9;
/** Sites whose claims are named; more are not believed either. */
const CLAIMS_NAMED = 1_000;

/**
 * What sites say they have seen of each policy. A hub whose tables came back from a backup finds here that they know more
 * than it does: whatever it said next would carry versions and generations that mean something else to them.
 */
export class SeenVersions {
  #newest = new Map<string, Newest>();
  readonly #named = new Set<string>();

  /** Gives claims that nobody can believe, each site's once: they are left out, since no `restore` could get above them. */
  take(sites: ReadonlyMap<string, Site>, states: ReadonlyMap<string, SiteState>, ownEpoch: number): Claim[] {
    const newest = new Map<string, Newest>();
    const implausible: Claim[] = [];
    for (const [site, { policies = [] }] of states) {
      if (policies.length === 0 || !sites.has(site)) continue;
      for (const { kind, name, seen, generation } of policies) {
        const key = `${kind}/${name}`;
        if (seen.epoch > ownEpoch + EPOCHS_AHEAD || Math.max(seen.n, generation) > MOST_COUNTED) {
          implausible.push({ site, policy: key, ...seen, generation });
          continue;
        }
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
    return this.#unnamed(implausible);
  }

  #unnamed(claims: readonly Claim[]): Claim[] {
    const found: Claim[] = [];
    for (const claim of claims) {
      if (this.#named.has(claim.site) || this.#named.size >= CLAIMS_NAMED) continue;
      this.#named.add(claim.site);
      found.push(claim);
    }
    return found;
  }

  generations(): Record<string, number> {
    return Object.fromEntries([...this.#newest].map(([policy, { generation }]) => [policy, generation]));
  }

  highestEpoch(): number {
    return [...this.#newest.values()].reduce((most, { version }) => Math.max(most, version.epoch), 1);
  }

  /** Policies that sites have seen and this hub knows nothing of. */
  unknown(registry: Registry, documents: PublishedDocuments): string[] {
    return [...this.#newest]
      .filter(([, newest]) => newest.version.n > 0 && ownVersion(newest, registry, documents) === null)
      .map(([policy]) => policy);
  }

  /** A site that is ahead of this hub, or null. A policy that the hub was restored without is nobody's to be ahead in. */
  ahead(registry: Registry, documents: PublishedDocuments): (Newest & { own: Version | null }) | null {
    const disowned = registry.issuer?.spec.disowned ?? [];
    for (const [policy, newest] of this.#newest) {
      const { kind, name } = newest;
      const isHere =
        registry.allowlist(name) !== undefined && registry.rollout(rolloutName(kind, name)) !== undefined;
      if (!isHere && disowned.includes(policy)) continue;
      const own = ownVersion(newest, registry, documents);
      const { version } = newest;
      if (version.n > 0 && (own === null || compareVersions(version, own) > 0)) return { ...newest, own };
    }
    return null;
  }
}

function ownVersion(
  { kind, name }: Newest,
  registry: Registry,
  documents: PublishedDocuments,
): Version | null {
  const published = documents.target(kind, name)?.body.version ?? null;
  const decided = registry.rollout(rolloutName(kind, name))?.spec.version ?? null;
  return published === null || (decided !== null && compareVersions(decided, published) > 0)
    ? decided
    : published;
}
