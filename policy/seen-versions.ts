import type { Site } from '../core/model/resource.ts';
import { rolloutName } from '../core/model/rollout.ts';
import { compareVersions, type IntentKind, KEYS_KEY, type Version } from '../core/model/signed.ts';
import type { SiteState } from '../core/model/site-state.ts';
import type { Registry } from './registry.ts';
import type { Published, PublishedDocuments } from './signing/published.ts';

type PolicyStanding = NonNullable<SiteState['policies']>[number];
/** What one site has seen of one policy. */
type Said = { kind: IntentKind; name: string; version: Version; generation: number };
/** What was taken of a site, and the state that it was taken of. */
type Taken = { state: SiteState; said: ReadonlyMap<string, Said>; claims: readonly Claim[] };
/** The newest of one policy, and who said it; another may have a newer generation of it, as after a rollback. */
type Newest = Said & { site: string; generationOf: string };

/** A site that has seen more of the hub's own documents than the hub has said: the keyring, or the labels that it gave it. */
type SeenOfHub = { site: string; what: 'the keyring' | 'its labels'; version: Version; own: Version };

/** A site that has seen more than this hub has said: `what` of, as `target 1.7 of Allowlist payments`. */
export type Ahead = { site: string; saw: string; own: Version | null };

/** What nobody can have seen: `what` in words. */
export type Claim = { site: string; what: string };

/** How far above this hub's own epoch a site may be before nobody believes it; each `restore` raises it by one. */
const EPOCHS_AHEAD = 1_000;
/** How far above what this hub has published of a policy, in versions or generations: at one a minute, two years of them. */
const COUNTED_AHEAD = 1_000_000;

/**
 * What sites say they have seen of each policy, of the keyring and of their own labels. A hub whose tables came back from a
 * backup finds here that they know more than it does: whatever it said next would carry versions and generations that mean
 * something else to them.
 */
export class SeenVersions {
  readonly #taken = new Map<string, Taken>();
  readonly #newest = new Map<string, Newest>();
  #ofHub: SeenOfHub[] = [];
  #claimsOfHub: Claim[] = [];

  /**
   * Claims that nobody can believe are kept apart, since no `restore` could get above them. They are looked at each time,
   * since this hub may have come to where they are; other sites only when they said something new.
   */
  take(
    sites: ReadonlyMap<string, Site>,
    states: ReadonlyMap<string, SiteState>,
    documents: PublishedDocuments,
    ownEpoch: number,
  ): void {
    const mostOf = mostPlausible(documents);
    /** Policies of which the newest has to be looked for again. */
    const stale = new Set<string>();
    for (const [site, { said }] of this.#taken) {
      if (sites.has(site) && states.has(site)) continue;
      this.#forget(site, said, stale);
    }
    this.#ofHub = [];
    this.#claimsOfHub = [];
    for (const [site, state] of states) {
      if (!sites.has(site)) continue;
      this.#takeOfHub(site, 'the keyring', state.keyring?.version, documents.get(KEYS_KEY), ownEpoch);
      this.#takeOfHub(site, 'its labels', state.labelsSeen, documents.site(site), ownEpoch);
      const before = this.#taken.get(site);
      const isSame = before !== undefined && before.claims.length === 0 && saysTheSame(before.state, state);
      if (before !== undefined && !isSame) this.#forget(site, before.said, stale);
      const taken = isSame ? { ...before, state } : takenOf(site, state, ownEpoch, mostOf);
      this.#taken.set(site, taken);
      if (!isSame) for (const [policy, said] of taken.said) this.#raise(policy, site, said);
    }
    for (const policy of stale) this.#findNewest(policy);
  }

  #forget(site: string, said: Taken['said'], stale: Set<string>): void {
    this.#taken.delete(site);
    for (const policy of said.keys()) {
      const newest = this.#newest.get(policy);
      if (newest?.site === site || newest?.generationOf === site) stale.add(policy);
    }
  }

  #findNewest(policy: string): void {
    this.#newest.delete(policy);
    for (const [site, { said }] of this.#taken) {
      const found = said.get(policy);
      if (found !== undefined) this.#raise(policy, site, found);
    }
  }

  #raise(policy: string, site: string, said: Said): void {
    const before = this.#newest.get(policy);
    if (before === undefined) {
      this.#newest.set(policy, { ...said, site, generationOf: site });
      return;
    }
    if (compareVersions(said.version, before.version) > 0)
      Object.assign(before, { version: said.version, site });
    if (said.generation > before.generation)
      Object.assign(before, { generation: said.generation, generationOf: site });
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
      this.#claimsOfHub.push({ site, what: `${what} in version ${versionText(version)}` });
    else this.#ofHub.push({ site, what, version, own });
  }

  /** By site, what it can't have seen. */
  get claims(): readonly Claim[] {
    return [...[...this.#taken.values()].flatMap(({ claims }) => claims), ...this.#claimsOfHub];
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
      if (!registry.hasPolicy(kind, name) && disowned.includes(policy)) continue;
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

type Most = { n: number; generation: number };

/** What a site can have seen of a policy, at the most; each is worked out once. */
function mostPlausible(documents: PublishedDocuments): (kind: IntentKind, name: string) => Most {
  const known = new Map<string, Most>();
  return (kind, name) => {
    const policy = `${kind}/${name}`;
    const found = known.get(policy);
    if (found !== undefined) return found;
    const target = documents.target(kind, name)?.body;
    const generation = documents.newestGeneration(kind, name);
    const most = {
      n: (target?.version.n ?? 0) + COUNTED_AHEAD,
      generation: generation + COUNTED_AHEAD,
    };
    known.set(policy, most);
    return most;
  };
}

function takenOf(
  site: string,
  state: SiteState,
  ownEpoch: number,
  mostOf: ReturnType<typeof mostPlausible>,
): Taken {
  const said = new Map<string, Said>();
  const claims: Claim[] = [];
  for (const { kind, name, seen, generation } of state.policies ?? []) {
    const most = mostOf(kind, name);
    if (seen.epoch > ownEpoch + EPOCHS_AHEAD || seen.n > most.n || generation > most.generation) {
      const what = `target ${versionText(seen)} and generation ${generation} of ${kind} ${name}`;
      claims.push({ site, what });
    } else said.set(`${kind}/${name}`, { kind, name, version: seen, generation });
  }
  return { state, said, claims };
}

/** Whether a site has seen nothing new of policies; most reports are like that. */
function saysTheSame(before: SiteState, after: SiteState): boolean {
  if (before === after) return true;
  const [was, is] = [before.policies ?? [], after.policies ?? []];
  return was.length === is.length && was.every((one, i) => isSame(one, is[i]));
}

function isSame(one: PolicyStanding, other: PolicyStanding | undefined): boolean {
  return (
    one.name === other?.name &&
    one.kind === other.kind &&
    one.generation === other.generation &&
    compareVersions(one.seen, other.seen) === 0
  );
}

function ownVersion({ kind, name }: Said, registry: Registry, documents: PublishedDocuments): Version | null {
  const published = documents.target(kind, name)?.body.version ?? null;
  const decided = registry.rollout(rolloutName(kind, name))?.spec.version ?? null;
  return published === null || (decided !== null && compareVersions(decided, published) > 0)
    ? decided
    : published;
}
