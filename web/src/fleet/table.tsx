import type { ComponentChildren } from 'preact';
import { useLayoutEffect, useRef } from 'preact/hooks';
import type { SiteView } from '../../../core/model/view.ts';
import { Utilisation } from '../bar.tsx';
import { count } from '../format.ts';
import { Age } from '../moment.tsx';
import { follow, sitePath } from '../route.ts';
import { SimulatedBadge, StateMark } from '../state-mark.tsx';
import type { FleetQuery, SortKey } from './query.ts';

export type RowsProps = {
  rows: readonly SiteView[];
  from: number;
  to: number;
  rowPx: number;
  /** Given the element in which the rows are laid out. */
  attach: (list: HTMLElement | null) => void;
  /** The hub's present, for ages. */
  hubNowMs: number;
  stale: boolean;
  tabStop: string | null | undefined;
  rowId: (id: string) => string;
  onFocus: (id: string) => void;
  touch: () => void;
};

const COLUMNS: readonly { key: SortKey | null; title: string; name: string; firstDescending?: boolean }[] = [
  { key: 'state', title: 'State', name: 'state' },
  { key: 'site', title: 'Site', name: 'site' },
  { key: 'score', title: 'Score', name: 'score' },
  { key: 'reason', title: 'Reason', name: 'reason' },
  { key: 'cpu', title: 'CPU', name: 'cpu', firstDescending: true },
  { key: 'memory', title: 'Memory', name: 'memory', firstDescending: true },
  { key: 'disk', title: 'Disk', name: 'disk', firstDescending: true },
  { key: 'links', title: 'Links', name: 'links' },
  { key: 'heard', title: 'Heard', name: 'heard' },
  { key: null, title: 'Virtual sites', name: 'groups' },
];

export function SiteTable(
  props: RowsProps & { query: FleetQuery; onSort: (key: SortKey, descending: boolean) => void },
) {
  const { rows, from, to, rowPx, query, stale } = props;
  return (
    <table class="sites" aria-rowcount={rows.length + 1} aria-label="Sites">
      <thead>
        <tr aria-rowindex={1}>
          {COLUMNS.map((column) => (
            <Heading key={column.name} column={column} query={query} onSort={props.onSort} />
          ))}
        </tr>
      </thead>
      <tbody ref={props.attach} onPointerMove={props.touch}>
        <Spacer px={from * rowPx} />
        {rows.slice(from, to).map((site, index) => (
          <tr key={site.id} aria-rowindex={from + index + 2} class={site.state}>
            <td class="state-cell">
              <StateMark state={site.state} stale={stale} />
            </td>
            <td class="site-cell">
              <SiteLink site={site} {...props} />
              {site.simulated && <SimulatedBadge />}
            </td>
            <td class="score-cell figure">{site.score ?? '–'}</td>
            <td class="reason-cell" title={site.reason}>
              {site.reason}
            </td>
            <td>
              <Utilisation ratio={site.cpu} />
            </td>
            <td>
              <Utilisation ratio={site.memory} />
            </td>
            <td>
              <Utilisation ratio={site.disk} />
            </td>
            <td class="figure">
              <LinksUp site={site} />
            </td>
            <td class="figure">
              <Heard site={site} hubNowMs={props.hubNowMs} />
            </td>
            <td class="groups-cell" title={site.virtualSites.join(', ')}>
              {site.virtualSites.join(', ')}
            </td>
          </tr>
        ))}
        <Spacer px={(rows.length - to) * rowPx} />
      </tbody>
    </table>
  );
}

function Heading({
  column,
  query,
  onSort,
}: {
  column: (typeof COLUMNS)[number];
  query: FleetQuery;
  onSort: (key: SortKey, descending: boolean) => void;
}) {
  const { key, title, name, firstDescending = false } = column;
  if (key === null)
    return (
      <th class={name} scope="col">
        {title}
      </th>
    );
  const sorted = query.sort === key;
  return (
    <th
      class={name}
      scope="col"
      aria-sort={sorted ? (query.descending ? 'descending' : 'ascending') : undefined}
    >
      <button type="button" onClick={() => onSort(key, sorted ? !query.descending : firstDescending)}>
        {title}
        <span class="direction" aria-hidden="true">
          {sorted ? (query.descending ? ' ▼' : ' ▲') : ''}
        </span>
      </button>
    </th>
  );
}

/** Stands for the rows that are not there. The height goes through the CSSOM: the policy forbids style attributes. */
function Spacer({ px }: { px: number }) {
  const cell = useRef<HTMLTableCellElement>(null);
  useLayoutEffect(() => {
    if (cell.current !== null) cell.current.style.height = `${px}px`;
  }, [px]);
  return (
    // biome-ignore lint/a11y/noAriaHiddenOnFocusable: nothing in it can take the focus
    <tr class="spacer" aria-hidden="true">
      <td ref={cell} colSpan={COLUMNS.length} />
    </tr>
  );
}

type LinkProps = Pick<RowsProps, 'tabStop' | 'rowId' | 'onFocus' | 'touch'>;

export function SiteLink({
  site,
  tabStop,
  rowId,
  onFocus,
  touch,
  children,
}: LinkProps & { site: SiteView; children?: ComponentChildren }) {
  return (
    <a
      id={rowId(site.id)}
      class="site-link"
      href={sitePath(site.id)}
      tabIndex={site.id === tabStop ? 0 : -1}
      onClick={follow}
      onFocus={() => {
        onFocus(site.id);
        touch();
      }}
    >
      {children ?? site.id}
    </a>
  );
}

export function LinksUp({ site }: { site: SiteView }) {
  const { up, total } = site.links;
  if (total === 0) return <>–</>;
  return (
    <span class={up < total ? 'short' : ''}>
      {count(up)}/{count(total)}
    </span>
  );
}

export function Heard({ site, hubNowMs }: { site: SiteView; hubNowMs: number }) {
  if (site.receivedAtMs === null) return <>never</>;
  return (
    <span class={site.freshness === 'heard' ? '' : 'short'}>
      <Age ms={site.receivedAtMs} nowMs={hubNowMs} />
    </span>
  );
}
