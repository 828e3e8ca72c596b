import type { Site } from '../core/model/resource.ts';
import { rolloutName } from '../core/model/rollout.ts';
import { compareVersions, type IntentKind, KEYS_KEY, type Version } from '../core/model/signed.ts';
import type { SiteState } from '../core/model/site-state.ts';
import type { Registry } from './registry.ts';
import type { Published, PublishedDocuments } from './signing/published.ts';

type Newest = { kind: IntentKind; name: string; site: string; version: Version; generation: number };

/** What a site has seen of the hub's own documents: the keyring, or the labels that the hub gave it. */
type SeenOfHub = { site: string; what: 'the keyring' | 'its labels'; version: Version; own: Version };

/** A site that has seen more than this hub has said: `what` of, as `target 1.7 of Allowlist payments`. */
export type Ahead = { site: string; saw: string; own: Version | null };

/** What nobody can have seen: `what` in words. */
export type Claim = { site: string; what: string };

/** How far above this hub's own epoch a site may be before nobody believes it; each `restore` raises it by one. */
const EPOCHS_AHEAD = 1_000;
/** No `n` or generation counts this far: at one a second it takes thirty years. */
const MOST_COUNTED = 1e9;

/**
 * What sites say they have seen of each policy, of the keyring and of their own labels. A hub whose tables came back from a backup finds here that they know more
 * than it does: whatever it said next would carry versions and generations that mean something else to them.
 */
export class SeenVersions {
  #newest = new Map<string, Newest>();
  #ofHub: SeenOfHub[] = [];
  #claims: Claim[] = [];

  /** Claims that nobody can believe are kept apart, since no `restore` could get above them. */
  take(
    sites: ReadonlyMap<string, Site>,
    states: ReadonlyMap<string, SiteState>,
    documents: PublishedDocuments,
    ownEpoch: number,
  ): void {
    this.#newest = new Map();
    this.#ofHub = [];
    this.#claims = [];
    for (const [site, state] of states) {
      if (!sites.has(site)) continue;
      for (const policy of state.policies ?? []) this.#takePolicy(site, policy, ownEpoch);
      this.#takeOfHub(site, 'the keyring', state.keyring?.version, documents.get(KEYS_KEY), ownEpoch);
      this.#takeOfHub(site, 'its labels', state.labelsSeen, documents.site(site), ownEpoch);
    }
  }

  #takePolicy(
    site: string,
    { kind, name, seen, generation }: NonNullable<SiteState['policies']>[number],
    ownEpoch: number,
  ): void {
    const key = `${kind}/${name}`;
    if (seen.epoch > ownEpoch + EPOCHS_AHEAD || Math.max(seen.n, generation) > MOST_COUNTED) {
      const what = `target ${versionText(seen)} and generation ${generation} of ${kind} ${name}`;
      this.#claims.push({ site, what });
      return;
    }
    const before = this.#newest.get(key);
    const isNewer = before === undefined || compareVersions(seen, before.version) > 0;
    const highest = Math.max(generation, before?.generation ?? 0);
    this.#newest.set(key, {
      ...(isNewer ? { kind, name, site, version: seen } : before),
      generation: highest,
    });
  }

  /** What this hub has published none of, it is about to: nobody is ahead in it. */
  #takeOfHub(
    site: string,
    what: SeenOfHub['what'],
    version: Version | undefined,
    published: Published | undefined,
    ownEpoch: number,
  ): void {
    const body = published?.body;
    const own = body?.type === 'keys' || body?.type === 'site' ? body.version : undefined;
    if (version === undefined || own === undefined || compareVersions(version, own) <= 0) return;
    if (version.epoch > ownEpoch + EPOCHS_AHEAD)
      this.#claims.push({ site, what: `${what} in version ${versionText(version)}` });
    else this.#ofHub.push({ site, what, version, own });
  }

  /** By site, what it can't have seen. */
  get claims(): readonly Claim[] {
    return this.#claims;
  }

  generations(): Record<string, number> {
    return Object.fromEntries([...this.#newest].map(([policy, { generation }]) => [policy, generation]));
  }

  highestEpoch(): number {
    const seen = [...this.#newest.values(), ...this.#ofHub];
    return seen.reduce((most, { version }) => Math.max(most, version.epoch), 1);
  }

  /** Policies that sites have seen and this hub knows nothing of. */
  unknown(registry: Registry, documents: PublishedDocuments): string[] {
    return [...this.#newest]
      .filter(([, newest]) => newest.version.n > 0 && ownVersion(newest, registry, documents) === null)
      .map(([policy]) => policy);
  }

  /** A site that is ahead of this hub, or null. A policy that the hub was restored without is nobody's to be ahead in. */
  ahead(registry: Registry, documents: PublishedDocuments): Ahead | null {
    const disowned = registry.issuer?.spec.disowned ?? [];
    for (const [policy, newest] of this.#newest) {
      const { kind, name, site, version } = newest;
      const isHere =
        registry.allowlist(name) !== undefined && registry.rollout(rolloutName(kind, name)) !== undefined;
      if (!isHere && disowned.includes(policy)) continue;
      const own = ownVersion(newest, registry, documents);
      if (version.n > 0 && (own === null || compareVersions(version, own) > 0))
        return { site, saw: `target ${versionText(version)} of ${kind} ${name}`, own };
    }
    // A higher epoch that is decided is published next.
    const epoch = registry.issuer?.spec.epoch ?? 1;
    const ofHub = this.#ofHub.find(({ version, own }) => version.epoch >= Math.max(epoch, own.epoch));
    if (ofHub === undefined) return null;
    const { site, what, version, own } = ofHub;
    return { site, saw: `${what} in version ${versionText(version)}`, own };
  }
}

export function versionText({ epoch, n }: Version): string {
  return `${epoch}.${n}`;
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
