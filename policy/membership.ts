import type { Site, VirtualSite } from '../core/model/resource.ts';
import type { RowOf } from '../core/model/rows.ts';
import type { Labels } from '../core/model/site.ts';
import type { SiteState } from '../core/model/site-state.ts';
import { matches, type Selector } from '../core/selector.ts';
import { selectorOf, selectorText } from '../core/selector-of.ts';
import { siteLabels } from '../core/site-labels.ts';

/** 2100-01-01: the end of an interval that has none yet. */
export const OPEN_END_MS = 4_102_444_800_000;

export type MembershipRow = RowOf<'membership'>;
export type OpenIntervals = { virtualSite: string; sites: readonly string[]; fromMs: readonly number[] };
export type World = {
  sites: ReadonlyMap<string, Site>;
  virtualSites: ReadonlyMap<string, VirtualSite>;
  states: ReadonlyMap<string, SiteState>;
};

type Member = {
  name: string;
  index: number;
  labels: Labels;
  fingerprint: string;
  sinceMs: number;
  evaluatedAtMs: number;
};
type Group = {
  name: string;
  selector: Selector | null;
  /** The selector in words, to see whether it changed; null before it was first read (the empty one selects every site). */
  text: string | null;
  evaluatedAtMs: number;
  /** By member's index: since when, -1 when not at all. Dense, because 3,000 × 1,000 of them fit in 24 MB. */
  open: Float64Array;
};

/**
 * Who is a member of what, as intervals in time, worked out anew from labels and selectors wherever one of them changed.
 * `plan` gives the rows that the store lacks; they count once `settle` was called, and are given again until then.
 *
 * When an interval begins or ends: at the change of given labels or selector that caused it where that is known, else now
 * (discovered labels carry no time). A virtual site that is new reaches back to when each site got its labels, so that it
 * has a history at once.
 */
export class Membership {
  readonly #members = new Map<string, Member>();
  readonly #groups = new Map<string, Group>();
  readonly #freeIndexes: number[] = [];
  readonly #dirtySites = new Set<string>();
  readonly #dirtyGroups = new Set<string>();
  readonly #opening = new Set<string>();
  readonly #opened: string[] = [];
  readonly #leaving = new Set<Member>();
  #planned: MembershipRow[] = [];
  #version = 0;
  #evaluatedThroughMs = 0;
  #openCount = 0;

  /** Takes up what an earlier owner left, the largest version it gave, and until when it had evaluated everything. */
  restore(intervals: readonly OpenIntervals[], version: number, evaluatedThroughMs: number): void {
    this.#version = version;
    this.#evaluatedThroughMs = evaluatedThroughMs;
    for (const { virtualSite, sites, fromMs } of intervals) {
      const group = this.#groupOf(virtualSite);
      this.#dirtyGroups.add(virtualSite);
      for (const [i, site] of sites.entries()) {
        this.#dirtySites.add(site);
        this.#set(group, this.#memberOf(site).index, fromMs[i] ?? 0);
      }
    }
  }

  /** Has it looked at again with the next plan. */
  noteSite(name: string): void {
    this.#dirtySites.add(name);
  }

  /** As `noteSite`. `isNew` when its history was not opened yet; whatever the store has of its name is void then. */
  noteVirtualSite(name: string, isNew: boolean): void {
    if (isNew) this.#opening.add(name);
    this.#dirtyGroups.add(name);
  }

  get hasWork(): boolean {
    return this.#planned.length > 0 || this.#dirtySites.size > 0 || this.#dirtyGroups.size > 0;
  }

  get openCount(): number {
    return this.#openCount;
  }

  /** A version above every one before, also when the clock steps back. */
  nextVersion(nowMs: number): number {
    this.#version = Math.max(this.#version + 1, nowMs);
    return this.#version;
  }

  /** Rows to be written, after about `budget` evaluations; may be empty. `settle` follows each plan, once they are durable. */
  plan(world: World, nowMs: number, budget: number): readonly MembershipRow[] {
    if (this.#planned.length > 0) return this.#planned;
    const version = this.nextVersion(nowMs);
    let left = budget;
    // Sites first, so that a group meets each site with the labels it has now.
    for (const name of this.#dirtySites) {
      if (left <= 0) return this.#planned;
      left -= this.#evaluateSite(name, world, nowMs, version);
      this.#dirtySites.delete(name);
    }
    for (const name of this.#dirtyGroups) {
      if (left <= 0) return this.#planned;
      left -= this.#evaluateGroup(name, world, nowMs, version);
      this.#dirtyGroups.delete(name);
    }
    return this.#planned;
  }

  /** The planned rows are durable. Gives the virtual sites that are open now and want their history counted. */
  settle(): string[] {
    for (const row of this.#planned) this.#settleRow(row);
    this.#planned = [];
    for (const member of this.#leaving) {
      this.#members.delete(member.name);
      this.#freeIndexes.push(member.index);
    }
    this.#leaving.clear();
    const opened = this.#opened.splice(0);
    for (const name of opened) this.#opening.delete(name);
    return opened;
  }

  #settleRow(row: MembershipRow): void {
    const group = this.#groups.get(row.virtual_site);
    const member = this.#members.get(row.site);
    // A group that is gone took its intervals with it.
    if (group === undefined || member === undefined) return;
    this.#set(group, member.index, row.to_at === OPEN_END_MS ? row.from_at : -1);
  }

  #evaluateSite(name: string, world: World, nowMs: number, version: number): number {
    const site = world.sites.get(name);
    if (site === undefined) return this.#close(name, nowMs, version);
    const labels = siteLabels(site.spec.labels, world.states.get(name) ?? null);
    const fingerprint = JSON.stringify(labels);
    const member = this.#memberOf(name);
    const causedAtMs = caused(site.spec.labelsSinceMs, member.evaluatedAtMs, nowMs);
    member.sinceMs = site.spec.labelsSinceMs;
    member.evaluatedAtMs = nowMs;
    if (member.fingerprint === fingerprint) return 1;
    member.labels = labels;
    member.fingerprint = fingerprint;
    for (const group of this.#groups.values())
      if (!this.#dirtyGroups.has(group.name)) this.#compare(group, member, causedAtMs, version);
    return 1 + this.#groups.size;
  }

  #close(site: string, nowMs: number, version: number): number {
    const member = this.#members.get(site);
    if (member === undefined) return 1;
    for (const group of this.#groups.values()) this.#change(group, member, false, nowMs, version);
    this.#leaving.add(member);
    return 1 + this.#groups.size;
  }

  #evaluateGroup(name: string, world: World, nowMs: number, version: number): number {
    const virtualSite = world.virtualSites.get(name);
    const group = this.#groupOf(name);
    if (virtualSite === undefined) return this.#closeGroup(group, nowMs, version);
    const isNew = this.#opening.has(name);
    const text = selectorText(virtualSite.spec);
    const causedAtMs = caused(virtualSite.metadata.updatedAtMs, group.evaluatedAtMs, nowMs);
    group.evaluatedAtMs = nowMs;
    if (!isNew && group.text === text) return 1;
    group.selector = selectorOf(virtualSite.spec);
    group.text = text;
    if (isNew) {
      this.#empty(group);
      this.#opened.push(name);
    }
    for (const member of this.#members.values()) {
      if (this.#leaving.has(member)) continue;
      const sinceMs = Math.max(member.sinceMs, 0);
      this.#compare(group, member, isNew ? sinceMs : Math.max(causedAtMs, Math.min(sinceMs, nowMs)), version);
    }
    return 1 + this.#members.size;
  }

  #closeGroup(group: Group, nowMs: number, version: number): number {
    for (const member of this.#members.values()) this.#change(group, member, false, nowMs, version);
    this.#empty(group);
    this.#groups.delete(group.name);
    this.#opening.delete(group.name);
    return 1 + this.#members.size;
  }

  #compare(group: Group, member: Member, atMs: number, version: number): void {
    const isMember = group.selector !== null && matches(group.selector, member.labels);
    this.#change(group, member, isMember, atMs, version);
  }

  #change(group: Group, member: Member, isMember: boolean, atMs: number, version: number): void {
    const from = group.open[member.index] ?? -1;
    if (isMember === from >= 0) return;
    this.#planned.push({
      virtual_site: group.name,
      site: member.name,
      from_at: isMember ? atMs : from,
      to_at: isMember ? OPEN_END_MS : Math.max(from, atMs),
      version,
    });
  }

  #memberOf(name: string): Member {
    const known = this.#members.get(name);
    if (known !== undefined) return known;
    const index = this.#freeIndexes.pop() ?? this.#members.size;
    const evaluatedAtMs = this.#evaluatedThroughMs;
    const member: Member = { name, index, labels: {}, fingerprint: '', sinceMs: 0, evaluatedAtMs };
    this.#members.set(name, member);
    return member;
  }

  #groupOf(name: string): Group {
    const known = this.#groups.get(name);
    if (known !== undefined) return known;
    const open = new Float64Array(Math.max(64, this.#members.size)).fill(-1);
    const group: Group = { name, selector: null, text: null, evaluatedAtMs: this.#evaluatedThroughMs, open };
    this.#groups.set(name, group);
    return group;
  }

  #set(group: Group, index: number, fromMs: number): void {
    if (index >= group.open.length) {
      const larger = new Float64Array(Math.max(index + 1, group.open.length * 2)).fill(-1);
      larger.set(group.open);
      group.open = larger;
    }
    this.#openCount += Number(fromMs >= 0) - Number((group.open[index] ?? -1) >= 0);
    group.open[index] = fromMs;
  }

  #empty(group: Group): void {
    this.#openCount -= group.open.reduce((count, from) => count + Number(from >= 0), 0);
    group.open.fill(-1);
  }
}

/** When a change took effect: when it was made if that is news to whoever evaluates, else now. */
function caused(madeAtMs: number, evaluatedAtMs: number, nowMs: number): number {
  return madeAtMs > evaluatedAtMs ? Math.min(madeAtMs, nowMs) : nowMs;
}
