import { Compile } from 'typebox/compile';
import {
  CommandResult,
  HubStatus,
  Issuer,
  type Resource,
  resourceKey,
  Site,
  Token,
  VirtualSite,
} from '../core/model/resource.ts';
import { Allowlist, Rollout, rolloutName } from '../core/model/rollout.ts';
import type { IntentKind } from '../core/model/signed.ts';
import type { TableEntry } from '../core/ports/table.ts';

/** What a command reads, and what it may assume of it: everything control has decided before it. */
export interface Registered {
  site(name: string): Site | undefined;
  virtualSite(name: string): VirtualSite | undefined;
  token(name: string): Token | undefined;
  allowlist(name: string): Allowlist | undefined;
  /** By the rollout's own name (core/model/rollout.ts). */
  rollout(name: string): Rollout | undefined;
  readonly issuer: Issuer | null;
  result(id: string): CommandResult | undefined;
  allSites(): Iterable<Site>;
  allVirtualSites(): Iterable<VirtualSite>;
  allRollouts(): Iterable<Rollout>;
  count(kind: Resource['kind']): number;
}

/** One change of table `resources`: a resource as it is from now on, or the removal of one. */
export type Change = { put: Resource } | { remove: { kind: Resource['kind']; name: string } };

const validators = {
  Site: Compile(Site),
  VirtualSite: Compile(VirtualSite),
  Token: Compile(Token),
  HubStatus: Compile(HubStatus),
  CommandResult: Compile(CommandResult),
  Allowlist: Compile(Allowlist),
  Rollout: Compile(Rollout),
  Issuer: Compile(Issuer),
};

/**
 * Control's own copy of table `resources`. Control is the table's only writer, so this copy, read once after the claim and
 * moved on by each durable write, is never behind, where a view may be.
 */
export class Registry implements Registered {
  readonly sites = new Map<string, Site>();
  readonly virtualSites = new Map<string, VirtualSite>();
  readonly #tokens = new Map<string, Token>();
  readonly #results = new Map<string, CommandResult>();
  readonly allowlists = new Map<string, Allowlist>();
  readonly rollouts = new Map<string, Rollout>();
  hub: HubStatus | null = null;
  issuer: Issuer | null = null;
  /** Keys whose value can't be read, until they are written anew. What they stand for is unknown, which is not: gone. */
  readonly unreadable = new Set<string>();

  /** Takes entries as they stand in the table; gives the keys that can't be read. */
  load(entries: Iterable<[string, Uint8Array]>): string[] {
    const results: CommandResult[] = [];
    for (const [key, value] of entries) {
      const resource = parse(value);
      if (resource === null) this.unreadable.add(key);
      else if (resource.kind === 'CommandResult') results.push(resource);
      else this.apply({ put: resource });
    }
    // Oldest first, because the oldest are the first to be forgotten.
    results.sort((a, b) => a.metadata.createdAtMs - b.metadata.createdAtMs);
    for (const result of results) this.apply({ put: result });
    return [...this.unreadable];
  }

  apply(change: Change): void {
    const { kind, name } =
      'put' in change ? { kind: change.put.kind, name: change.put.metadata.name } : change.remove;
    this.unreadable.delete(resourceKey(kind, name));
    if ('put' in change) this.#put(change.put);
    else if (change.remove.kind === 'HubStatus') this.hub = null;
    else if (change.remove.kind === 'Issuer') this.issuer = null;
    else this.#mapOf(change.remove.kind).delete(change.remove.name);
  }

  #put(resource: Resource): void {
    const { name } = resource.metadata;
    switch (resource.kind) {
      case 'Site':
        this.sites.set(name, resource);
        return;
      case 'VirtualSite':
        this.virtualSites.set(name, resource);
        return;
      case 'Token':
        this.#tokens.set(name, resource);
        return;
      case 'CommandResult':
        this.#results.set(name, resource);
        return;
      case 'Allowlist':
        this.allowlists.set(name, resource);
        return;
      case 'Rollout':
        this.rollouts.set(name, resource);
        return;
      case 'Issuer':
        this.issuer = resource;
        return;
      case 'HubStatus':
        this.hub = resource;
    }
  }

  #mapOf(kind: Exclude<Resource['kind'], 'HubStatus' | 'Issuer'>): Map<string, Resource> {
    const maps: Record<typeof kind, Map<string, Resource>> = {
      Site: this.sites,
      VirtualSite: this.virtualSites,
      Token: this.#tokens,
      CommandResult: this.#results,
      Allowlist: this.allowlists,
      Rollout: this.rollouts,
    };
    return maps[kind];
  }

  site(name: string): Site | undefined {
    return this.sites.get(name);
  }

  virtualSite(name: string): VirtualSite | undefined {
    return this.virtualSites.get(name);
  }

  token(name: string): Token | undefined {
    return this.#tokens.get(name);
  }

  result(id: string): CommandResult | undefined {
    return this.#results.get(id);
  }

  allowlist(name: string): Allowlist | undefined {
    return this.allowlists.get(name);
  }

  rollout(name: string): Rollout | undefined {
    return this.rollouts.get(name);
  }

  /** Whether a policy is here whole: what it says, and how far it has come. Either alone is what a loss left of it. */
  hasPolicy(kind: IntentKind, name: string): boolean {
    return this.allowlists.has(name) && this.rollouts.has(rolloutName(kind, name));
  }

  allSites(): Iterable<Site> {
    return this.sites.values();
  }

  allVirtualSites(): Iterable<VirtualSite> {
    return this.virtualSites.values();
  }

  allRollouts(): Iterable<Rollout> {
    return this.rollouts.values();
  }

  count(kind: Resource['kind']): number {
    if (kind === 'Issuer') return Number(this.issuer !== null);
    return kind === 'HubStatus' ? Number(this.hub !== null) : this.#mapOf(kind).size;
  }

  /** Ids of results, oldest first. */
  resultIds(): IterableIterator<string> {
    return this.#results.keys();
  }
}

/** The table's entry for a change. */
export function toEntry(change: Change): TableEntry {
  if ('remove' in change) return { key: resourceKey(change.remove.kind, change.remove.name), value: null };
  const { kind, metadata } = change.put;
  return { key: resourceKey(kind, metadata.name), value: Buffer.from(JSON.stringify(change.put)) };
}

function parse(value: Uint8Array): Resource | null {
  let json: unknown;
  try {
    json = JSON.parse(Buffer.from(value).toString('utf8'));
  } catch {
    return null;
  }
  if (validators.Site.Check(json)) return json;
  if (validators.VirtualSite.Check(json)) return json;
  if (validators.CommandResult.Check(json)) return json;
  if (validators.Token.Check(json)) return json;
  if (validators.Allowlist.Check(json)) return json;
  if (validators.Rollout.Check(json)) return json;
  if (validators.Issuer.Check(json)) return json;
  return validators.HubStatus.Check(json) ? json : null;
}
