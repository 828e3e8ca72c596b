import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import type { SiteView } from '../../../core/model/view.ts';
import { Command } from '../command.tsx';
import { count } from '../format.ts';
import type { FeedState } from '../live/feed.ts';
import { useNowMs } from '../live/use-feed.ts';
import { go } from '../route.ts';
import { useShortcuts } from '../shortcuts.tsx';
import { SiteCards } from './cards.tsx';
import { FilterField } from './filter-field.tsx';
import { useOrder } from './order.ts';
import { DEFAULT_QUERY, type Filter, type FleetQuery, searchFromQuery } from './query.ts';
import { useRowFocus } from './row-focus.ts';
import { SiteTable } from './table.tsx';
import { useVisibleRows } from './visible-rows.ts';

/** Heights in styles/fleet.css; they have to agree. */
const ROW_PX = 31;
const CARD_PX = 112;
const HEADING_PX = 32;
const NARROW_WINDOW = '(max-width: 720px)';

const rowId = (id: string) => `site-${id}`;

/** The filter and the sites it leaves, as a table or, where there is no width for one, as cards. */
export function SiteList({
  sites,
  state,
  query,
  filter,
  focusFilter,
  onFilterFocused,
  onChange,
}: {
  sites: ReadonlyMap<string, SiteView>;
  state: FeedState;
  query: FleetQuery;
  filter: Filter;
  focusFilter: boolean;
  onFilterFocused: () => void;
  onChange: (part: Partial<FleetQuery>) => void;
}) {
  const narrow = useNarrowWindow();
  const list = useRef<HTMLElement | null>(null);
  const attach = useCallback((element: HTMLElement | null) => {
    list.current = element;
  }, []);
  const field = useRef<HTMLInputElement>(null);
  const nowMs = useNowMs();
  const { rows, touch } = useOrder(sites, query, filter);
  const rowPx = narrow ? CARD_PX : ROW_PX;
  const visible = useVisibleRows(list, rows.length, rowPx, narrow ? 0 : HEADING_PX);
  const focus = useRowFocus(rows, visible, rowId);
  useShortcuts({
    next: focus.next,
    previous: focus.previous,
    filter: () => field.current?.select(),
    back: () => (searchFromQuery(query) === '' ? undefined : go('/', 'replace')),
  });
  useEffect(() => {
    if (!focusFilter) return;
    field.current?.select();
    onFilterFocused();
  }, [focusFilter]);
  const Rows = narrow ? SiteCards : SiteTable;
  return (
    <>
      <div class="list-head">
        <FilterField
          text={query.text}
          filter={filter}
          refusal={state.refusal}
          field={field}
          onText={(text) => onChange({ text })}
          onDown={focus.first}
        />
        <Count shown={rows.length} all={sites.size} />
      </div>
      {rows.length === 0 && <Empty query={query} />}
      {rows.length > 0 && (
        <Rows
          {...{ rows, rowPx, attach, rowId, touch, query }}
          from={visible.from}
          to={visible.to}
          hubNowMs={nowMs + state.hubOffsetMs}
          stale={state.phase !== 'live'}
          tabStop={focus.tabStop}
          onFocus={focus.onFocus}
          onSort={(sort, descending) => onChange({ sort, descending })}
        />
      )}
    </>
  );
}

function Count({ shown, all }: { shown: number; all: number }) {
  return (
    <p class="list-count" role="status">
      {count(shown)} {shown === all ? '' : `of ${count(all)} `}
      {all === 1 ? 'site' : 'sites'}
    </p>
  );
}

function Empty({ query }: { query: FleetQuery }) {
  const { sort, descending } = DEFAULT_QUERY;
  if (searchFromQuery({ ...query, sort, descending }) !== '')
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
