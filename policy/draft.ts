import {
  type CommandResult,
  type Resource,
  resourceKey,
  type Site,
  type Token,
  type VirtualSite,
} from '../core/model/resource.ts';
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

  result(id: string): CommandResult | undefined {
    return this.#own.result(id) ?? this.#below('CommandResult', id, this.#base.result(id));
  }

  count(kind: Resource['kind']): number {
    return this.#base.count(kind) + (this.#added[kind] ?? 0);
  }
}
