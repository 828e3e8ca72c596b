import { Compile } from 'typebox/compile';
import {
  CommandResult,
  HubStatus,
  type Resource,
  resourceKey,
  Site,
  Token,
  VirtualSite,
} from '../core/model/resource.ts';
import type { TableEntry } from '../core/ports/table.ts';

/** What a command reads, and what it may assume of it: everything control has decided before it. */
export interface Registered {
  site(name: string): Site | undefined;
  virtualSite(name: string): VirtualSite | undefined;
  token(name: string): Token | undefined;
  result(id: string): CommandResult | undefined;
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
  hub: HubStatus | null = null;

  /** Takes entries as they stand in the table; gives the keys that can't be read. */
  load(entries: Iterable<[string, Uint8Array]>): string[] {
    const unreadable: string[] = [];
    const results: CommandResult[] = [];
    for (const [key, value] of entries) {
      const resource = parse(value);
      if (resource === null) unreadable.push(key);
      else if (resource.kind === 'CommandResult') results.push(resource);
      else this.apply({ put: resource });
    }
    // Oldest first, because the oldest are the first to be forgotten.
    results.sort((a, b) => a.metadata.createdAtMs - b.metadata.createdAtMs);
    for (const result of results) this.apply({ put: result });
    return unreadable;
  }

  apply(change: Change): void {
    if ('put' in change) this.#put(change.put);
    else if (change.remove.kind === 'HubStatus') this.hub = null;
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
      case 'HubStatus':
        this.hub = resource;
    }
  }

  #mapOf(kind: Exclude<Resource['kind'], 'HubStatus'>): Map<string, Resource> {
    const maps: Record<typeof kind, Map<string, Resource>> = {
      Site: this.sites,
      VirtualSite: this.virtualSites,
      Token: this.#tokens,
      CommandResult: this.#results,
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

  count(kind: Resource['kind']): number {
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
  return validators.HubStatus.Check(json) ? json : null;
}
