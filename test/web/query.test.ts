import { describe, expect, test } from 'vitest';
import type { SiteView } from '../../core/model/view.ts';
import {
  DEFAULT_QUERY,
  inOrder,
  queryFromSearch,
  readFilter,
  searchFromQuery,
  shows,
} from '../../web/src/fleet/query.ts';
import { madeUpSites } from './stand-in-fleet.ts';

const [sample] = madeUpSites(1, 1, 1_000_000);
if (sample === undefined) throw new Error('no sample');
const site = (id: string, change: Partial<SiteView> = {}): SiteView => ({ ...sample, id, ...change });
const idsOf = (sites: readonly SiteView[]) => sites.map(({ id }) => id);

describe('the list of sites', () => {
  test('a shared link brings back filter, virtual site, states and order', () => {
    const query = {
      text: 'env in (prod),!maint',
      virtualSite: 'prod',
      states: ['red', 'unknown'] as const,
      sort: 'cpu' as const,
      descending: true,
    };
    const search = searchFromQuery(query);
    const back = queryFromSearch(search);
    expect({ ...back, states: new Set(back.states) }).toEqual({ ...query, states: new Set(query.states) });
    expect(searchFromQuery(DEFAULT_QUERY)).toBe('');
    expect(queryFromSearch('?sort=-nonsense&state=mauve').states).toEqual([]);
  });

  test('words all have to occur, in whatever of the site', () => {
    const filter = readFilter('  Tokyo degraded ');
    const shown = (one: SiteView) => shows(DEFAULT_QUERY, filter, one);
    expect(shown(site('jp-tokyo-1', { state: 'orange' }))).toBe(true);
    expect(shown(site('jp-tokyo-1', { state: 'green' }))).toBe(false);
    expect(shown(site('a', { state: 'orange', labels: { city: 'tokyo' } }))).toBe(true);
  });

  test('text with an operator is a selector; half typed, it hides nothing and says where it is wrong', () => {
    const selector = readFilter('env in (prod)');
    expect(shows(DEFAULT_QUERY, selector, site('a', { labels: { env: 'prod' } }))).toBe(true);
    expect(shows(DEFAULT_QUERY, selector, site('a', { labels: { env: 'test' } }))).toBe(false);
    const half = readFilter('env in (');
    expect(half).toMatchObject({ kind: 'invalid', at: expect.stringContaining('character') });
    expect(shows(DEFAULT_QUERY, half, site('a', { labels: { env: 'test' } }))).toBe(true);
  });

  test('the worst come first: failing, degraded, unknown, healthy, each from the lowest score', () => {
    const sites = [
      site('healthy', { state: 'green', score: 99 }),
      site('unknown', { state: 'unknown', score: null }),
      site('degraded', { state: 'orange', score: 60 }),
      site('failing-b', { state: 'red', score: 30 }),
      site('failing-a', { state: 'red', score: 12 }),
    ];
    expect(idsOf(inOrder(sites, 'state', false))).toEqual([
      'failing-a',
      'failing-b',
      'degraded',
      'unknown',
      'healthy',
    ]);
  });

  test('what has no figure comes last in either direction', () => {
    const sites = [site('none', { cpu: null }), site('low', { cpu: 0.1 }), site('high', { cpu: 0.9 })];
    expect(idsOf(inOrder(sites, 'cpu', true))).toEqual(['high', 'low', 'none']);
    expect(idsOf(inOrder(sites, 'cpu', false))).toEqual(['low', 'high', 'none']);
  });
});
