import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { SiteView } from '../../../core/model/view.ts';
import { type Filter, type FleetQuery, inOrder, shows } from './query.ts';

/** How long rows keep their place after the last movement of pointer or focus over them. */
const HOLD_MS = 4_000;

/**
 * The sites that are shown, in order. Figures are always the newest; places are not taken anew while someone is about to
 * click or read: rows that swap under the pointer open the wrong site. `touch` says that someone is.
 */
export function useOrder(
  sites: ReadonlyMap<string, SiteView>,
  query: FleetQuery,
  filter: Filter,
): { rows: readonly SiteView[]; touch: () => void } {
  const touchedAtMs = useRef(0);
  const held = useRef<{ ids: readonly string[]; key: string }>({ ids: [], key: '' });
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => setTurn((n) => n + 1), HOLD_MS);
    return () => clearInterval(timer);
  }, []);
  const rows = useMemo(() => {
    const wanted = [...sites.values()].filter((site) => shows(query, filter, site));
    const key = JSON.stringify(query);
    const mayMove = key !== held.current.key || Date.now() - touchedAtMs.current > HOLD_MS;
    const sorted = mayMove
      ? inOrder(wanted, query.sort, query.descending)
      : inHeldOrder(wanted, held.current.ids);
    held.current = { ids: sorted.map((site) => site.id), key };
    return sorted;
  }, [sites, query, filter, turn]);
  return {
    rows,
    touch: () => {
      touchedAtMs.current = Date.now();
    },
  };
}

/** Newcomers go to the end. */
function inHeldOrder(sites: readonly SiteView[], ids: readonly string[]): SiteView[] {
  const place = new Map(ids.map((id, index) => [id, index]));
  return sites.toSorted(
    (a, b) => (place.get(a.id) ?? ids.length) - (place.get(b.id) ?? ids.length) || (a.id < b.id ? -1 : 1),
  );
}
