import type { HubView, LiveMessage } from '../../core/model/view.ts';
import type { Filter } from './filter.ts';
import { type Fleet, type FleetEntry, rollupOf } from './fleet.ts';

/** What one tick brings to the viewers of a filter: all of them get the same text, serialised once. */
export type Step = {
  version: number;
  changed: ReadonlySet<string>;
  removed: ReadonlySet<string>;
  rollupJson: string;
};

/**
 * The viewers' side of one filter: which sites it selects now, and in which version. A version is one step; what a step
 * changed is told as `delta`s that each follow the version before.
 */
export class Audience {
  readonly filter: Filter;
  readonly #fleet: Fleet;
  readonly #selected = new Set<string>();
  #version = 1;
  #rollupJson: string;

  constructor(filter: Filter, fleet: Fleet) {
    this.filter = filter;
    this.#fleet = fleet;
    for (const entry of fleet.entries()) if (filter.wants(entry.view)) this.#selected.add(entry.view.id);
    this.#rollupJson = JSON.stringify(rollupOf(this.#entries()));
  }

  get version(): number {
    return this.#version;
  }

  /** Takes over what changed in the fleet; null when nothing of it concerns this filter. */
  step(changed: Iterable<string>, removed: Iterable<string>, aside: boolean): Step | null {
    const upserted = new Set<string>();
    const gone = new Set<string>();
    for (const id of changed) {
      const entry = this.#fleet.get(id);
      if (entry !== undefined && this.filter.wants(entry.view)) {
        this.#selected.add(id);
        upserted.add(id);
      } else if (this.#selected.delete(id)) gone.add(id);
    }
    for (const id of removed) if (this.#selected.delete(id)) gone.add(id);
    if (upserted.size + gone.size === 0 && !aside) return null;
    this.#version++;
    if (upserted.size + gone.size > 0) this.#rollupJson = JSON.stringify(rollupOf(this.#entries()));
    return { version: this.#version, changed: upserted, removed: gone, rollupJson: this.#rollupJson };
  }

  snapshot(hub: HubView): string {
    const sites = [...this.#entries()].map(({ json }) => json).join(',');
    return `{"type":"snapshot","version":${this.#version},"hub":${JSON.stringify(hub)},"rollup":${this.#rollupJson},"sites":[${sites}],"virtualSites":${this.#fleet.virtualSitesJson()},"rollouts":${this.#fleet.rolloutsJson()}}`;
  }

  /** From one version to now; sites are told as they are now, however often they changed in between. */
  delta(from: number, changed: Iterable<string>, removed: Iterable<string>, hub: HubView): string {
    const upsert: string[] = [];
    const remove = new Set(removed);
    for (const id of changed) {
      const entry = this.#selected.has(id) ? this.#fleet.get(id) : undefined;
      if (entry === undefined) remove.add(id);
      else upsert.push(entry.json);
    }
    const gone = [...remove].filter((id) => !this.#selected.has(id));
    return `{"type":"delta","from":${from},"version":${this.#version},"hub":${JSON.stringify(hub)},"rollup":${this.#rollupJson},"upsert":[${upsert.join(',')}],"remove":${JSON.stringify(gone)},"virtualSites":${this.#fleet.virtualSitesJson()},"rollouts":${this.#fleet.rolloutsJson()}}`;
  }

  pulse(version: number, hub: HubView): string {
    return JSON.stringify({ type: 'pulse', version, hub } satisfies LiveMessage);
  }

  *#entries(): IterableIterator<FleetEntry> {
    for (const id of this.#selected) {
      const entry = this.#fleet.get(id);
      if (entry !== undefined) yield entry;
    }
  }
}
