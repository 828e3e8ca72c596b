import { Compile } from 'typebox/compile';
import { freshness, type Hearing } from '../../core/freshness.ts';
import type { Site } from '../../core/model/resource.ts';
import type { Labels } from '../../core/model/site.ts';
import { SiteState } from '../../core/model/site-state.ts';
import type { Freshness, Rollup, SiteView, VirtualSiteView } from '../../core/model/view.ts';
import type { Clock } from '../../core/ports/clock.ts';
import type { Logger } from '../../core/ports/logger.ts';
import type { TableView } from '../../core/ports/table.ts';
import { rollup } from '../../core/rollup.ts';
import { matches, selectorText } from '../../core/selector.ts';
import { siteLabels } from '../../core/site-labels.ts';
import type { Directory, DirectoryChange } from '../directory.ts';
import { liveRollouts } from '../policy/live-rollouts.ts';
import { siteView } from './site-view.ts';

const validator = Compile(SiteState);

/** One registered site. `json` is its view, serialised once for everybody who is sent it. */
export type FleetEntry = {
  readonly site: Site;
  readonly state: SiteState | null;
  readonly view: SiteView;
  readonly json: string;
};
type Membership = { labels: Labels; virtualSites: string[] };

/** Sites whose view changed, came or went; `aside` when virtual sites or rollouts did. */
export type FleetChange = { changed: readonly string[]; removed: readonly string[]; aside: boolean };

/**
 * Every registered site and virtual site as it is now, from tables `resources` and `state`. Nothing is computed when a
 * table changes, only noted; `refresh` brings it up to date and costs what changed, and a comparison a site.
 */
export class Fleet {
  readonly #directory: Directory;
  readonly #states: TableView;
  readonly #clock: Clock;
  readonly #hearing: () => Hearing;
  readonly #logger: Logger;
  readonly #entries = new Map<string, FleetEntry>();
  readonly #parsed = new Map<string, SiteState>();
  readonly #memberships = new Map<string, Membership>();
  /** Names of virtual sites to their view and the members it was made of. */
  readonly #virtualSites = new Map<string, { view: VirtualSiteView; json: string }>();
  readonly #dirtySites = new Set<string>();
  readonly #listeners = new Set<(change: FleetChange) => void>();
  readonly #stops: (() => void)[];
  #sorted: string[] | null = null;
  #staleMembership = true;
  #rolloutsJson = '[]';
  #staleRollouts = true;

  constructor(parts: {
    directory: Directory;
    states: TableView;
    clock: Clock;
    hearing: () => Hearing;
    logger: Logger;
  }) {
    this.#directory = parts.directory;
    this.#states = parts.states;
    this.#clock = parts.clock;
    this.#hearing = parts.hearing;
    this.#logger = parts.logger;
    this.#noteStates([...parts.states.entries()].map(([site]) => site));
    for (const site of this.#directory.sites.keys()) this.#dirtySites.add(site);
    this.#stops = [
      parts.states.onChange((sites) => this.#noteStates(sites)),
      this.#directory.onChange((changes) => this.#noteResources(changes)),
    ];
  }

  /** Called after every refresh that found a change. */
  onChange(listener: (change: FleetChange) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  close(): void {
    for (const stop of this.#stops) stop();
  }

  get(id: string): FleetEntry | undefined {
    return this.#entries.get(id);
  }

  /** Ids in order. */
  ids(): readonly string[] {
    this.#sorted ??= [...this.#entries.keys()].sort();
    return this.#sorted;
  }

  entries(): IterableIterator<FleetEntry> {
    return this.#entries.values();
  }

  virtualSite(name: string): VirtualSiteView | undefined {
    return this.#virtualSites.get(name)?.view;
  }

  virtualSiteNames(): string[] {
    return [...this.#virtualSites.keys()].sort();
  }

  /** The JSON array of every virtual site, in order of their names. */
  virtualSitesJson(): string {
    return `[${this.virtualSiteNames()
      .map((name) => this.#virtualSites.get(name)?.json ?? '')
      .join(',')}]`;
  }

  /** The JSON array of the rollouts that the live view shows. */
  rolloutsJson(): string {
    return this.#rolloutsJson;
  }

  members(virtualSite: string): SiteView[] {
    return [...this.#entries.values()].flatMap(({ view }) =>
      view.virtualSites.includes(virtualSite) ? [view] : [],
    );
  }

  refresh(): void {
    const nowMs = this.#clock.nowMs();
    const hearing = this.#hearing();
    if (this.#staleMembership) this.#memberships.clear();
    const changed: string[] = [];
    const touched = new Set<string>();
    for (const [id, site] of this.#directory.sites) {
      const before = this.#entries.get(id);
      const state = this.#parsed.get(id) ?? null;
      const fresh = this.#freshness(site, state, hearing, nowMs);
      if (
        before !== undefined &&
        !this.#staleMembership &&
        fresh === before.view.freshness &&
        !this.#dirtySites.has(id)
      )
        continue;
      const view = siteView(site, state, fresh, this.#membership(site, state));
      const json = JSON.stringify(view);
      if (before === undefined) this.#sorted = null;
      for (const name of before?.view.virtualSites ?? []) touched.add(name);
      for (const name of view.virtualSites) touched.add(name);
      if (before?.json !== json) changed.push(id);
      this.#entries.set(id, { site, state, view, json });
    }
    const removed = this.#removeGone(touched);
    this.#dirtySites.clear();
    const virtualSites = this.#refreshVirtualSites(touched);
    this.#staleMembership = false;
    const rollouts = this.#refreshRollouts();
    if (changed.length + removed.length === 0 && !virtualSites && !rollouts) return;
    for (const listener of this.#listeners) listener({ changed, removed, aside: virtualSites || rollouts });
  }

  #refreshRollouts(): boolean {
    if (!this.#staleRollouts) return false;
    this.#staleRollouts = false;
    const json = JSON.stringify(liveRollouts(this.#directory.rollouts.values()));
    if (json === this.#rolloutsJson) return false;
    this.#rolloutsJson = json;
    return true;
  }

  #freshness(site: Site, state: SiteState | null, hearing: Hearing, nowMs: number): Freshness {
    const { join, offlineToleranceMs } = site.spec;
    return freshness({ state, registeredAtMs: join?.joinedAtMs ?? null, offlineToleranceMs }, hearing, nowMs);
  }

  #removeGone(touched: Set<string>): string[] {
    const removed = [...this.#entries.keys()].filter((id) => !this.#directory.sites.has(id));
    for (const id of removed) {
      for (const name of this.#entries.get(id)?.view.virtualSites ?? []) touched.add(name);
      this.#entries.delete(id);
      this.#memberships.delete(id);
    }
    if (removed.length > 0) this.#sorted = null;
    return removed;
  }

  /** Every virtual site of which a member changed, or all when the virtual sites themselves did. */
  #refreshVirtualSites(touched: ReadonlySet<string>): boolean {
    const wanted = this.#directory.virtualSites;
    let any = false;
    for (const name of this.#virtualSites.keys())
      if (!wanted.has(name)) any = this.#virtualSites.delete(name) || any;
    const due = [...wanted.keys()].filter((name) => this.#staleMembership || touched.has(name));
    if (due.length === 0) return any;
    const members = new Map<string, SiteView[]>(due.map((name) => [name, []]));
    for (const { view } of this.#entries.values())
      for (const name of view.virtualSites) members.get(name)?.push(view);
    for (const name of due) {
      const known = wanted.get(name);
      if (known === undefined) continue;
      const { metadata, spec } = known.resource;
      const view: VirtualSiteView = {
        name,
        selector: selectorText(known.selector),
        ...(spec.guard && { guard: spec.guard }),
        createdAtMs: metadata.createdAtMs,
        rollup: rollup(members.get(name) ?? []),
      };
      this.#virtualSites.set(name, { view, json: JSON.stringify(view) });
    }
    return true;
  }

  /** Kept until the site's labels or any virtual site change: matching is what costs. */
  #membership(site: Site, state: SiteState | null): Membership {
    const id = site.metadata.name;
    const known = this.#memberships.get(id);
    if (known !== undefined) return known;
    const labels = siteLabels(site.spec.labels, state);
    const virtualSites: string[] = [];
    for (const [name, { selector }] of this.#directory.virtualSites)
      if (matches(selector, labels)) virtualSites.push(name);
    const membership = { labels, virtualSites: virtualSites.sort() };
    this.#memberships.set(id, membership);
    return membership;
  }

  #noteStates(sites: readonly string[]): void {
    for (const id of sites) {
      const before = this.#parsed.get(id);
      const state = this.#parse(id);
      if (state === null) this.#parsed.delete(id);
      else this.#parsed.set(id, state);
      if (saidLabels(before) !== saidLabels(state)) this.#memberships.delete(id);
      this.#dirtySites.add(id);
    }
  }

  #noteResources(changes: readonly DirectoryChange[]): void {
    for (const { kind, name } of changes) {
      if (kind === 'VirtualSite') this.#staleMembership = true;
      if (kind === 'Rollout') this.#staleRollouts = true;
      if (kind !== 'Site') continue;
      this.#memberships.delete(name);
      this.#dirtySites.add(name);
    }
  }

  #parse(id: string): SiteState | null {
    const bytes = this.#states.get(id);
    if (bytes === undefined) return null;
    const value: unknown = JSON.parse(Buffer.from(bytes).toString('utf8'));
    if (validator.Check(value)) return value;
    this.#logger.error({ site: id }, 'state.unreadable');
    return null;
  }
}

function saidLabels(state: SiteState | null | undefined): string {
  return state ? JSON.stringify([state.discovered, state.proposed]) : '';
}

/** Of whichever sites were chosen, as a rollup of a filter's sites. */
export function rollupOf(entries: Iterable<FleetEntry>): Rollup {
  const views: SiteView[] = [];
  for (const { view } of entries) views.push(view);
  return rollup(views);
}
