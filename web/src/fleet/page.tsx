import { useEffect, useMemo } from 'preact/hooks';
import type { HealthState } from '../../../core/model/score.ts';
import type { Feed, FeedState } from '../live/feed.ts';
import { go } from '../route.ts';
import { SiteList } from './list.tsx';
import { type Filter, type FleetQuery, queryFromSearch, readFilter, searchFromQuery } from './query.ts';
import { Totals } from './totals.tsx';
import { VirtualSites } from './virtual-sites.tsx';

/** Typing is shown at once; the hub is asked for less after a pause. */
const NARROW_AFTER_MS = 300;

/** The fleet: totals, virtual sites, and the list that they and the filter narrow down. */
export function FleetPage({
  feed,
  state,
  search,
  focusFilter,
  onFilterFocused,
}: {
  feed: Feed;
  state: FeedState;
  search: string;
  /** Whether the filter was asked for from another page. */
  focusFilter: boolean;
  onFilterFocused: () => void;
}) {
  const query = useMemo(() => queryFromSearch(search), [search]);
  const filter = useMemo(() => readFilter(query.text), [query.text]);
  useNarrowing(feed, query, filter);
  const change = (part: Partial<FleetQuery>) => go(`/${searchFromQuery({ ...query, ...part })}`, 'replace');
  const { fleet, phase } = state;
  return (
    <main id="content" tabIndex={-1}>
      <h1 class="unseen">Sites</h1>
      {fleet === null ? (
        <p class="empty" role="status">
          {phase === 'connecting' ? 'Connecting to the hub …' : 'Nothing to show until the hub answers.'}
        </p>
      ) : (
        <>
          <Totals
            rollup={fleet.rollup}
            chosen={query.states}
            onToggle={(one) => change({ states: toggled(query.states, one) })}
          />
          <VirtualSites
            virtualSites={fleet.virtualSites}
            chosen={query.virtualSite}
            onChoose={(virtualSite) => change({ virtualSite })}
          />
          <SiteList
            sites={fleet.sites}
            state={state}
            query={query}
            filter={filter}
            focusFilter={focusFilter}
            onFilterFocused={onFilterFocused}
            onChange={change}
          />
        </>
      )}
    </main>
  );
}

function toggled(states: readonly HealthState[], one: HealthState): HealthState[] {
  return states.includes(one) ? states.filter((state) => state !== one) : [...states, one];
}

/** Words and states are looked for here; what is left out by labels need not be sent at all. */
function useNarrowing(feed: Feed, query: FleetQuery, filter: Filter): void {
  const selector = filter.kind === 'selector' ? filter.text : null;
  const virtualSite = query.virtualSite;
  useEffect(() => {
    const timer = setTimeout(() => {
      feed.narrow({ ...(virtualSite !== null && { virtualSite }), ...(selector !== null && { selector }) });
    }, NARROW_AFTER_MS);
    return () => clearTimeout(timer);
  }, [feed, virtualSite, selector]);
}
