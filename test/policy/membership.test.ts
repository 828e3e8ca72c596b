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
  spec: { selector: `env=${env}` },
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
    const step = fc.oneof(
      fc.record({ what: fc.constant('site' as const), name, env }),
      fc.record({ what: fc.constant('unsite' as const), name }),
      fc.record({ what: fc.constant('group' as const), name, env }),
      fc.record({ what: fc.constant('ungroup' as const), name }),
      fc.record({ what: fc.constant('restart' as const) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const sites = new Map<string, Site>();
        const virtualSites = new Map<string, VirtualSite>();
        const world = { sites, virtualSites, states };
        const table = new Map<string, MembershipRow>();
        let membership = new Membership();
        let nowMs = NOON;
        for (const one of steps) {
          nowMs += 1_000;
          if (one.what === 'site') sites.set(one.name, site(one.name, one.env, nowMs));
          if (one.what === 'unsite') sites.delete(one.name);
          if (one.what === 'group') {
            const before = virtualSites.get(one.name);
            const after = virtualSite(one.name, one.env, nowMs);
            const createdAtMs = before?.metadata.createdAtMs ?? nowMs;
            virtualSites.set(one.name, { ...after, metadata: { ...after.metadata, createdAtMs } });
            if (before === undefined)
              for (const [key, row] of table)
                if (row.virtual_site === one.name)
                  table.set(key, { ...row, to_at: row.from_at, version: membership.nextVersion(nowMs) });
            membership.noteVirtualSite(one.name, before === undefined);
          }
          if (one.what === 'ungroup') {
            virtualSites.delete(one.name);
            membership.noteVirtualSite(one.name, false);
          }
          if (one.what === 'site' || one.what === 'unsite') membership.noteSite(one.name);
          if (one.what === 'restart') {
            membership = new Membership();
            const open = [...table.values()].filter(({ to_at }) => to_at === OPEN_END_MS);
            const versions = [...table.values()].map(({ version }) => version);
            membership.restore(
              open.map((row) => ({
                virtualSite: row.virtual_site,
                sites: [row.site],
                fromMs: [row.from_at],
              })),
              Math.max(0, ...versions),
              nowMs - 1,
            );
            for (const known of sites.keys()) membership.noteSite(known);
            for (const known of virtualSites.keys()) membership.noteVirtualSite(known, false);
          }
          for (const row of allRows(membership, world, nowMs)) {
            const key = `${row.virtual_site}/${row.site}/${row.from_at}`;
            expect(row.version).toBeGreaterThan(table.get(key)?.version ?? 0);
            table.set(key, row);
          }
          const desired: string[] = [];
          for (const { metadata: group, spec } of virtualSites.values())
            for (const { metadata: member, spec: given } of sites.values())
              if (spec.selector === `env=${given.labels.env}`) desired.push(`${group.name}/${member.name}`);
          const rows = [...table.values()].filter((row) => row.to_at > row.from_at);
          const open = rows.filter(({ to_at }) => to_at === OPEN_END_MS);
          expect(open.map((row) => `${row.virtual_site}/${row.site}`).sort()).toEqual(desired.sort());
          expect(membership.openCount).toBe(desired.length);
          for (const a of rows)
            for (const b of rows)
              if (a !== b && a.virtual_site === b.virtual_site && a.site === b.site)
                expect(a.to_at <= b.from_at || b.to_at <= a.from_at).toBe(true);
        }
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
