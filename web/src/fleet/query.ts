/*
 * What of the fleet is shown and in which order, as it stands in the URL, so that a link shows someone else the same.
 */
import type { HealthState } from '../../../core/model/score.ts';
import { HEALTH_STATES } from '../../../core/model/score.ts';
import type { SiteView } from '../../../core/model/view.ts';
import { matches, parseSelector, type Selector } from '../../../core/selector.ts';
import { STATE_WORDS } from '../state-words.ts';

const SORT_KEYS = ['state', 'site', 'score', 'reason', 'cpu', 'memory', 'disk', 'links', 'heard'] as const;
export type SortKey = (typeof SORT_KEYS)[number];

export type FleetQuery = {
  /** What was typed: free text or a selector, told apart by `readFilter`. */
  text: string;
  virtualSite: string | null;
  /** None means all. */
  states: readonly HealthState[];
  sort: SortKey;
  descending: boolean;
};

/** Worst first. */
export const DEFAULT_QUERY: FleetQuery = {
  text: '',
  virtualSite: null,
  states: [],
  sort: 'state',
  descending: false,
};

export type Filter =
  | { kind: 'none' }
  | { kind: 'text'; terms: readonly string[] }
  | { kind: 'selector'; text: string; selector: Selector }
  | { kind: 'invalid'; at: string; reason: string };

export function queryFromSearch(search: string): FleetQuery {
  const params = new URLSearchParams(search);
  const sort = params.get('sort') ?? '';
  const descending = sort.startsWith('-');
  const wanted = (params.get('state') ?? '').split(',');
  return {
    text: params.get('q') ?? '',
    virtualSite: params.get('vs'),
    states: HEALTH_STATES.filter((state) => wanted.includes(state)),
    sort: SORT_KEYS.find((key) => key === sort.replace(/^-/, '')) ?? DEFAULT_QUERY.sort,
    descending,
  };
}

export function searchFromQuery(query: FleetQuery): string {
  const params = new URLSearchParams();
  if (query.virtualSite !== null) params.set('vs', query.virtualSite);
  if (query.text !== '') params.set('q', query.text);
  if (query.states.length > 0) params.set('state', query.states.join(','));
  if (query.sort !== DEFAULT_QUERY.sort || query.descending)
    params.set('sort', `${query.descending ? '-' : ''}${query.sort}`);
  const text = params.toString();
  return text === '' ? '' : `?${text}`;
}

/** Text with an operator of the selector grammar in it is a selector; anything else is words, all of which must occur. */
export function readFilter(text: string): Filter {
  const trimmed = text.trim();
  if (trimmed === '') return { kind: 'none' };
  if (!/[=!(),/]|\s(in|notin)(\s|$)/.test(trimmed))
    return { kind: 'text', terms: trimmed.toLowerCase().split(/\s+/) };
  const parsed = parseSelector(trimmed);
  return parsed.ok
    ? { kind: 'selector', text: trimmed, selector: parsed.selector }
    : { kind: 'invalid', at: parsed.at, reason: parsed.reason };
}

/** What is half typed hides nothing. */
export function shows(query: FleetQuery, filter: Filter, site: SiteView): boolean {
  if (query.virtualSite !== null && !site.virtualSites.includes(query.virtualSite)) return false;
  if (query.states.length > 0 && !query.states.includes(site.state)) return false;
  if (filter.kind === 'selector') return matches(filter.selector, site.labels);
  if (filter.kind !== 'text') return true;
  const text = searchable(site);
  return filter.terms.every((term) => text.includes(term));
}

/** Sites in order. Without a figure comes last either way; the id decides between equals, so that rows don't swap. */
export function inOrder(sites: readonly SiteView[], sort: SortKey, descending: boolean): SiteView[] {
  const sign = descending ? -1 : 1;
  return sites.toSorted((a, b) => {
    const left = sortValue(a, sort);
    const right = sortValue(b, sort);
    if (left === null || right === null) {
      if (left !== right) return left === null ? 1 : -1;
    } else if (left !== right) return left < right ? -sign : sign;
    return byScore(a, b, sort) || (a.id < b.id ? -1 : 1);
  });
}

/** Within a state, the lowest score first. */
function byScore(a: SiteView, b: SiteView, sort: SortKey): number {
  return sort === 'state' ? (a.score ?? 101) - (b.score ?? 101) : 0;
}

const SEVERITY = { red: 0, orange: 1, unknown: 2, green: 3 } as const;

function sortValue(site: SiteView, sort: SortKey): number | string | null {
  switch (sort) {
    case 'state':
      return SEVERITY[site.state];
    case 'site':
      return site.id;
    case 'score':
      return site.score;
    case 'reason':
      return site.reason === '' ? null : site.reason.toLowerCase();
    case 'cpu':
      return site.cpu;
    case 'memory':
      return site.memory;
    case 'disk':
      return site.disk;
    case 'links':
      return site.links.total === 0 ? null : site.links.up / site.links.total;
    case 'heard':
      return site.receivedAtMs === null ? null : -site.receivedAtMs;
  }
}

function searchable(site: SiteView): string {
  const labels = Object.entries(site.labels).map(([key, value]) => `${key}=${value}`);
  return [
    site.id,
    site.kind,
    STATE_WORDS[site.state],
    site.freshness,
    site.reason,
    site.version,
    site.simulated ? 'simulated' : '',
    ...site.virtualSites,
    ...labels,
  ]
    .join('\n')
    .toLowerCase();
}
