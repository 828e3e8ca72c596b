import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import type { SiteView } from '../../../core/model/view.ts';
import type { VisibleRows } from './visible-rows.ts';

/** Remembered over a visit to a site's page, so that coming back continues where it was left. */
let left: string | null = null;

/**
 * One row at a time is in the tab order (a roving tabindex): Tab enters and leaves the list, arrows, j and k move in it.
 * `rowId` gives the element id of a site's link.
 */
export function useRowFocus(rows: readonly SiteView[], visible: VisibleRows, rowId: (id: string) => string) {
  const [activeId, setActiveId] = useState<string | null>(left);
  /** The row that is to take the focus as soon as it exists. */
  const wanted = useRef<string | null>(left);
  const at = rows.findIndex((site) => site.id === activeId);

  function moveTo(index: number) {
    const site = rows[Math.max(0, Math.min(rows.length - 1, index))];
    if (site === undefined) return;
    left = site.id;
    wanted.current = site.id;
    setActiveId(site.id);
    visible.scrollTo(rows.indexOf(site));
  }

  useLayoutEffect(() => {
    const id = wanted.current;
    if (id === null) return;
    const index = rows.findIndex((site) => site.id === id);
    if (index !== -1) visible.scrollTo(index);
    const element = document.getElementById(rowId(id));
    // Not there yet: `scrollTo` brings it about. Filtered out: forgotten, or it would take the focus out of the blue.
    if (element !== null || index === -1) wanted.current = null;
    element?.focus({ preventScroll: true });
  });

  return {
    /** The row that Tab reaches. */
    tabStop: at === -1 ? rows[visible.from]?.id : activeId,
    next: () => moveTo(at + 1),
    previous: () => moveTo(at === -1 ? 0 : at - 1),
    first: () => moveTo(0),
    onFocus: (id: string) => {
      left = id;
      setActiveId(id);
    },
  };
}
