import {
  type CommandResult,
  type Issuer,
  type Resource,
  resourceKey,
  type Site,
  type Token,
  type VirtualSite,
} from '../core/model/resource.ts';
import type { Allowlist, Rollout } from '../core/model/rollout.ts';
import { type Change, type Registered, Registry } from './registry.ts';

/** What the registry will be once the changes so far are durable, so that later commands of a batch see earlier ones. */
export class Draft implements Registered {
  readonly #base: Registered;
  readonly #own = new Registry();
  readonly #removed = new Set<string>();
  readonly #added: Partial<Record<Resource['kind'], number>> = {};
  readonly changes: Change[] = [];

  constructor(base: Registered) {
    this.#base = base;
  }

  add(change: Change): void {
    const { kind, name } =
      'put' in change ? { kind: change.put.kind, name: change.put.metadata.name } : change.remove;
    const had = this.#has(kind, name);
    const has = 'put' in change;
    this.#added[kind] = (this.#added[kind] ?? 0) + Number(has) - Number(had);
    if (has) this.#removed.delete(resourceKey(kind, name));
    else this.#removed.add(resourceKey(kind, name));
    this.#own.apply(change);
    this.changes.push(change);
  }

  #has(kind: Resource['kind'], name: string): boolean {
    const found = {
      Site: () => this.site(name),
      VirtualSite: () => this.virtualSite(name),
      Token: () => this.token(name),
      CommandResult: () => this.result(name),
      Allowlist: () => this.allowlist(name),
      Rollout: () => this.rollout(name),
      Issuer: () => this.issuer ?? undefined,
      HubStatus: () => undefined,
    }[kind]();
    return found !== undefined;
  }

  #below<T>(kind: Resource['kind'], name: string, base: T | undefined): T | undefined {
    return this.#removed.has(resourceKey(kind, name)) ? undefined : base;
  }

  site(name: string): Site | undefined {
    return this.#own.site(name) ?? this.#below('Site', name, this.#base.site(name));
  }

  virtualSite(name: string): VirtualSite | undefined {
    return this.#own.virtualSite(name) ?? this.#below('VirtualSite', name, this.#base.virtualSite(name));
  }

  token(name: string): Token | undefined {
    return this.#own.token(name) ?? this.#below('Token', name, this.#base.token(name));
  }

  allowlist(name: string): Allowlist | undefined {
    return this.#own.allowlist(name) ?? this.#below('Allowlist', name, this.#base.allowlist(name));
  }

  rollout(name: string): Rollout | undefined {
    return this.#own.rollout(name) ?? this.#below('Rollout', name, this.#base.rollout(name));
  }

  get issuer(): Issuer | null {
    return this.#own.issuer ?? this.#base.issuer;
  }

  *allSites(): Iterable<Site> {
    for (const { metadata } of this.#base.allSites())
      if (!this.#own.sites.has(metadata.name)) yield* present(this.site(metadata.name));
    yield* this.#own.allSites();
  }

  *allVirtualSites(): Iterable<VirtualSite> {
    for (const { metadata } of this.#base.allVirtualSites())
      if (!this.#own.virtualSites.has(metadata.name)) yield* present(this.virtualSite(metadata.name));
    yield* this.#own.allVirtualSites();
  }

  *allRollouts(): Iterable<Rollout> {
    for (const { metadata } of this.#base.allRollouts())
      if (!this.#own.rollouts.has(metadata.name)) yield* present(this.rollout(metadata.name));
    yield* this.#own.allRollouts();
  }

  result(id: string): CommandResult | undefined {
    return this.#own.result(id) ?? this.#below('CommandResult', id, this.#base.result(id));
  }

  count(kind: Resource['kind']): number {
    return this.#base.count(kind) + (this.#added[kind] ?? 0);
  }
}

function present<T>(value: T | undefined): T[] {
  return value === undefined ? [] : [value];
}
