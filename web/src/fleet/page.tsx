import { useCallback, useEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { HealthState } from '../../../core/model/score.ts';
import { Command } from '../command.tsx';
import { count } from '../format.ts';
import type { Feed, FeedState } from '../live/feed.ts';
import { useNowMs } from '../live/use-feed.ts';
import { go } from '../route.ts';
import { useShortcuts } from '../shortcuts.tsx';
import { SiteCards } from './cards.tsx';
import { FilterField } from './filter-field.tsx';
import { useOrder } from './order.ts';
import { DEFAULT_QUERY, type FleetQuery, queryFromSearch, readFilter, searchFromQuery } from './query.ts';
import { useRowFocus } from './row-focus.ts';
import { SiteTable } from './table.tsx';
import { Totals } from './totals.tsx';
import { VirtualSites } from './virtual-sites.tsx';
import { useVisibleRows } from './visible-rows.ts';

/** Heights in styles/fleet.css; they have to agree. */
const ROW_PX = 31;
const CARD_PX = 112;
const HEADING_PX = 32;
/** Typing is shown at once; the hub is asked for less after a pause. */
const NARROW_AFTER_MS = 300;
const NARROW_WINDOW = '(max-width: 720px)';

const rowId = (id: string) => `site-${id}`;

export function FleetPage({
  feed,
  state,
  search,
  focusFilter,
}: {
  feed: Feed;
  state: FeedState;
  search: string;
  /** Raised whenever the filter is asked for from another page. */
  focusFilter: number;
}) {
  const query = useMemo(() => queryFromSearch(search), [search]);
  const filter = useMemo(() => readFilter(query.text), [query.text]);
  const narrow = useNarrowWindow();
  const list = useRef<HTMLElement | null>(null);
  const attach = useCallback((element: HTMLElement | null) => {
    list.current = element;
  }, []);
  const field = useRef<HTMLInputElement>(null);
  const nowMs = useNowMs();
  const fleet = state.fleet;
  const sites = fleet?.sites ?? NOBODY;
  const { rows, touch } = useOrder(sites, query, filter);
  const rowPx = narrow ? CARD_PX : ROW_PX;
  const visible = useVisibleRows(list, rows.length, rowPx, narrow ? 0 : HEADING_PX);
  const focus = useRowFocus(rows, visible, rowId);
  useNarrowing(feed, query, filter);
  const change = (part: Partial<FleetQuery>) => go(`/${searchFromQuery({ ...query, ...part })}`, 'replace');

  useShortcuts({
    next: focus.next,
    previous: focus.previous,
    filter: () => field.current?.select(),
    back: () => (searchFromQuery(query) === '' ? undefined : go('/', 'replace')),
  });
  useEffect(() => {
    if (focusFilter > 0) field.current?.select();
  }, [focusFilter]);

  if (fleet === null)
    return (
      <main id="content" tabIndex={-1}>
        <h1 class="unseen">Sites</h1>
        <p class="empty" role="status">
          {state.phase === 'connecting'
            ? 'Connecting to the hub …'
            : 'Nothing to show until the hub answers.'}
        </p>
      </main>
    );
  const Rows = narrow ? SiteCards : SiteTable;
  return (
    <main id="content" tabIndex={-1}>
      <h1 class="unseen">Sites</h1>
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
      <div class="list-head">
        <FilterField
          text={query.text}
          filter={filter}
          refusal={state.refusal}
          field={field}
          onText={(text) => change({ text })}
          onDown={focus.first}
        />
        <p class="list-count" role="status">
          {count(rows.length)} {rows.length === sites.size ? '' : `of ${count(sites.size)} `}
          {sites.size === 1 ? 'site' : 'sites'}
        </p>
      </div>
      {rows.length > 0 ? (
        <Rows
          {...{ rows, rowPx, attach, rowId, touch, query }}
          from={visible.from}
          to={visible.to}
          hubNowMs={nowMs + state.hubOffsetMs}
          stale={state.phase !== 'live'}
          tabStop={focus.tabStop}
          onFocus={focus.onFocus}
          onSort={(sort, descending) => change({ sort, descending })}
        />
      ) : (
        <Empty narrowed={searchFromQuery({ ...query, sort: DEFAULT_QUERY.sort, descending: false }) !== ''} />
      )}
    </main>
  );
}

function Empty({ narrowed }: { narrowed: boolean }) {
  if (narrowed)
    return (
      <div class="empty" role="status">
        <p>No site matches what is asked for.</p>
        <button type="button" onClick={() => go('/', 'replace')}>
          Show all sites
        </button>
      </div>
    );
  return (
    <div class="empty" role="status">
      <p>No site is registered yet. Add one; the answer is the command to run there:</p>
      <p>
        <Command text="plumbline site add jp-tokyo-1 --label env=test" />
      </p>
      <p>Or try it with sites that are made up:</p>
      <p>
        <Command text="plumbline simulate --sites 20" />
      </p>
    </div>
  );
}

const NOBODY = new Map<string, never>();

function toggled(states: readonly HealthState[], one: HealthState): HealthState[] {
  return states.includes(one) ? states.filter((state) => state !== one) : [...states, one];
}

/** Words and states are looked for here; what is left out by labels need not be sent at all. */
function useNarrowing(feed: Feed, query: FleetQuery, filter: ReturnType<typeof readFilter>): void {
  const selector = filter.kind === 'selector' ? filter.text : null;
  const virtualSite = query.virtualSite;
  useEffect(() => {
    const timer = setTimeout(() => {
      feed.narrow({ ...(virtualSite !== null && { virtualSite }), ...(selector !== null && { selector }) });
    }, NARROW_AFTER_MS);
    return () => clearTimeout(timer);
  }, [feed, virtualSite, selector]);
}

function useNarrowWindow(): boolean {
  const [narrow, setNarrow] = useState(() => matchMedia(NARROW_WINDOW).matches);
  useEffect(() => {
    const media = matchMedia(NARROW_WINDOW);
    const update = () => setNarrow(media.matches);
    media.addEventListener('change', update);
    return () => media.removeEventListener('change', update);
  }, []);
  return narrow;
}
