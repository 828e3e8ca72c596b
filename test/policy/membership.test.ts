import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Site, VirtualSite } from '../../core/model/resource.ts';
import { Membership, type MembershipRow, OPEN_END_MS } from '../../policy/membership.ts';
import { NOON } from './control-parts.ts';

const metadata = (name: string, updatedAtMs: number) => ({
  name,
  uid: name,
  createdAtMs: updatedAtMs,
  updatedAtMs,
  revision: 1,
  updatedBy: 'ada',
});
const site = (name: string, env: string, labelsSinceMs: number): Site => ({
  apiVersion: 'plumbline.io/v1',
  kind: 'Site',
  metadata: metadata(name, labelsSinceMs),
  spec: { labels: { env }, labelsSinceMs, keyEpoch: 1 },
});
const virtualSite = (name: string, env: string, atMs: number): VirtualSite => ({
  apiVersion: 'plumbline.io/v1',
  kind: 'VirtualSite',
  metadata: metadata(name, atMs),
  // The empty one selects every site.
  spec: { selector: env === '' ? '' : `env=${env}` },
});
const states = new Map();

function allRows(membership: Membership, world: Parameters<Membership['plan']>[0], nowMs: number) {
  const rows: MembershipRow[] = [];
  while (membership.hasWork) {
    rows.push(...membership.plan(world, nowMs, 10));
    membership.settle();
  }
  return rows;
}

type Step =
  | { what: 'label'; name: string; env: string }
  | { what: 'select'; name: string; env: string }
  | { what: 'remove'; name: string }
  | { what: 'delete'; name: string }
  | { what: 'restart' };

/** A fleet to which one thing after the other happens, and the store's table as it would be. */
class History {
  readonly #sites = new Map<string, Site>();
  readonly #virtualSites = new Map<string, VirtualSite>();
  readonly #table = new Map<string, MembershipRow>();
  #membership = new Membership();
  #nowMs = NOON;

  take(step: Step): void {
    this.#nowMs += 1_000;
    if (step.what === 'restart') this.#restart();
    else if (step.what === 'label') this.#sites.set(step.name, site(step.name, step.env, this.#nowMs));
    else if (step.what === 'remove') this.#sites.delete(step.name);
    else if (step.what === 'delete') this.#virtualSites.delete(step.name);
    else this.#select(step.name, step.env);
    if (step.what === 'label' || step.what === 'remove') this.#membership.noteSite(step.name);
    if (step.what === 'delete') this.#membership.noteVirtualSite(step.name, false);
    const world = { sites: this.#sites, virtualSites: this.#virtualSites, states };
    for (const row of allRows(this.#membership, world, this.#nowMs)) {
      const key = `${row.virtual_site}/${row.site}/${row.from_at}`;
      expect(row.version).toBeGreaterThan(this.#table.get(key)?.version ?? 0);
      this.#table.set(key, row);
    }
    this.#check();
  }

  #select(name: string, env: string): void {
    const before = this.#virtualSites.get(name);
    const after = virtualSite(name, env, this.#nowMs);
    const createdAtMs = before?.metadata.createdAtMs ?? this.#nowMs;
    this.#virtualSites.set(name, { ...after, metadata: { ...after.metadata, createdAtMs } });
    const version = this.#membership.nextVersion(this.#nowMs);
    for (const [key, row] of this.#table)
      if (before === undefined && row.virtual_site === name)
        this.#table.set(key, { ...row, to_at: row.from_at, version });
    this.#membership.noteVirtualSite(name, before === undefined);
  }

  #restart(): void {
    const rows = [...this.#table.values()];
    const open = rows.filter(({ to_at }) => to_at === OPEN_END_MS);
    const intervals = open.map(({ virtual_site, site: name, from_at }) => ({
      virtualSite: virtual_site,
      sites: [name],
      fromMs: [from_at],
    }));
    this.#membership = new Membership();
    this.#membership.restore(intervals, Math.max(0, ...rows.map(({ version }) => version)), this.#nowMs - 1);
    for (const name of this.#sites.keys()) this.#membership.noteSite(name);
    for (const name of this.#virtualSites.keys()) this.#membership.noteVirtualSite(name, false);
  }

  #check(): void {
    const desired: string[] = [];
    for (const { metadata: group, spec } of this.#virtualSites.values())
      for (const { metadata: member, spec: given } of this.#sites.values())
        if (spec.selector === '' || spec.selector === `env=${given.labels.env}`)
          desired.push(`${group.name}/${member.name}`);
    const rows = [...this.#table.values()].filter((row) => row.to_at > row.from_at);
    const open = rows.filter(({ to_at }) => to_at === OPEN_END_MS);
    expect(open.map((row) => `${row.virtual_site}/${row.site}`).sort()).toEqual(desired.sort());
    expect(this.#membership.openCount).toBe(desired.length);
    for (const a of rows)
      for (const b of rows)
        if (a !== b && a.virtual_site === b.virtual_site && a.site === b.site)
          expect(a.to_at <= b.from_at || b.to_at <= a.from_at).toBe(true);
  }
}

describe('membership', () => {
  it('gives the same rows again until they are settled', () => {
    const membership = new Membership();
    const world = {
      sites: new Map([['a', site('a', 'x', 5)]]),
      virtualSites: new Map([['v', virtualSite('v', 'x', 9)]]),
      states,
    };
    membership.noteSite('a');
    membership.noteVirtualSite('v', true);
    const first = membership.plan(world, NOON, 1_000);
    expect(first).toMatchObject([{ virtual_site: 'v', site: 'a', from_at: 5, to_at: OPEN_END_MS }]);
    expect(membership.plan(world, NOON + 1, 1_000)).toBe(first);
    expect(membership.settle()).toEqual(['v']);
    expect(membership.hasWork).toBe(false);
    expect(membership.openCount).toBe(1);
  });

  it('is what labels and selectors say after any history, one open interval a pair, none overlapping', () => {
    const env = fc.constantFrom('x', 'y', 'z');
    const name = fc.constantFrom('a', 'b', 'c', 'd');
    const step: fc.Arbitrary<Step> = fc.oneof(
      fc.record({ what: fc.constant('label' as const), name, env }),
      fc.record({ what: fc.constant('remove' as const), name }),
      fc.record({ what: fc.constant('select' as const), name, env: fc.oneof(env, fc.constant('')) }),
      fc.record({ what: fc.constant('delete' as const), name }),
      fc.record({ what: fc.constant('restart' as const) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const history = new History();
        for (const one of steps) history.take(one);
      }),
      { numRuns: 300 },
    );
  });

  it('works 3,000 sites by 1,000 virtual sites off in bounded slices', () => {
    const membership = new Membership();
    const sites = new Map<string, Site>();
    const virtualSites = new Map<string, VirtualSite>();
    for (let i = 0; i < 3_000; i++) sites.set(`s${i}`, site(`s${i}`, `e${i % 1_000}`, 1));
    for (let i = 0; i < 1_000; i++) virtualSites.set(`v${i}`, virtualSite(`v${i}`, `e${i}`, 2));
    for (const name of sites.keys()) membership.noteSite(name);
    for (const name of virtualSites.keys()) membership.noteVirtualSite(name, true);
    let slices = 0;
    for (; membership.hasWork; slices++) {
      membership.plan({ sites, virtualSites, states }, NOON, 50_000);
      membership.settle();
    }
    expect(membership.openCount).toBe(3_000);
    expect(slices).toBeGreaterThan(50);
    membership.noteSite('s7');
    expect(membership.plan({ sites, virtualSites, states }, NOON, 1)).toEqual([]);
    membership.settle();
    expect(membership.hasWork).toBe(false);
  });
});
