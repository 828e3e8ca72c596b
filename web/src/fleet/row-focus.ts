import { useEffect, useRef, useState } from 'preact/hooks';
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
  const wantsFocus = useRef(left !== null);
  const at = rows.findIndex((site) => site.id === activeId);

  function moveTo(index: number) {
    const site = rows[Math.max(0, Math.min(rows.length - 1, index))];
    if (site === undefined) return;
    left = site.id;
    wantsFocus.current = true;
    setActiveId(site.id);
    visible.scrollTo(rows.indexOf(site));
  }

  useEffect(() => {
    if (!wantsFocus.current || activeId === null) return;
    const element = document.getElementById(rowId(activeId));
    if (element === null) {
      if (at !== -1) visible.scrollTo(at);
      return;
    }
    wantsFocus.current = false;
    element.focus({ preventScroll: true });
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
