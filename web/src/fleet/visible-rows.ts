import type { RefObject } from 'preact';
import { useCallback, useEffect, useState } from 'preact/hooks';

const OVERSCAN = 12;

export type VisibleRows = { from: number; to: number; scrollTo: (index: number) => void };

/**
 * Which rows of a long list are near what the window shows, so that thousands cost as little as fifty. All rows have the
 * same height; `list` is where they are laid out; `coveredPx` is the height of what sticks to the window's top.
 */
export function useVisibleRows(
  list: RefObject<HTMLElement | null>,
  total: number,
  rowPx: number,
  coveredPx: number,
): VisibleRows {
  const [range, setRange] = useState({ from: 0, to: 60 });
  useEffect(() => {
    let frame = 0;
    const measure = () => {
      frame = 0;
      if (list.current === null) return;
      const above = -list.current.getBoundingClientRect().top;
      const from = Math.max(0, Math.floor(above / rowPx) - OVERSCAN);
      const to = Math.ceil((above + innerHeight) / rowPx) + OVERSCAN;
      setRange((old) => (old.from === from && old.to === to ? old : { from, to }));
    };
    const soon = () => {
      if (frame === 0) frame = requestAnimationFrame(measure);
    };
    measure();
    addEventListener('scroll', soon, { passive: true });
    addEventListener('resize', soon);
    return () => {
      cancelAnimationFrame(frame);
      removeEventListener('scroll', soon);
      removeEventListener('resize', soon);
    };
  }, [list, rowPx, total]);

  const scrollTo = useCallback(
    (index: number) => {
      if (list.current === null) return;
      const top = list.current.getBoundingClientRect().top + index * rowPx;
      if (top < coveredPx) scrollBy({ top: top - coveredPx });
      else if (top + rowPx > innerHeight) scrollBy({ top: top + rowPx - innerHeight });
      // The row must exist before it can take the focus, so the scroll event is not waited for.
      setRange((old) =>
        index >= old.from && index < old.to
          ? old
          : { from: Math.max(0, index - OVERSCAN), to: index + OVERSCAN * 3 },
      );
    },
    [list, rowPx, coveredPx],
  );
  return { from: Math.min(range.from, total), to: Math.min(range.to, total), scrollTo };
}
