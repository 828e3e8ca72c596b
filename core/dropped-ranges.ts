import type { DroppedRange, Position } from './model/report.ts';

/** Below zero when `a` was made before `b`. Boots sort by their text (core/model/site.ts). */
export function comparePositions(a: Position, b: Position): number {
  if (a.boot !== b.boot) return a.boot < b.boot ? -1 : 1;
  return a.seq - b.seq;
}

/** The union, in order, neighbours merged. */
export function addDropped(ranges: readonly DroppedRange[], added: readonly DroppedRange[]): DroppedRange[] {
  const sorted = [...ranges, ...added].sort((a, b) =>
    comparePositions({ boot: a.boot, seq: a.from }, { boot: b.boot, seq: b.from }),
  );
  const merged: DroppedRange[] = [];
  for (const range of sorted) {
    const last = merged.at(-1);
    if (last !== undefined && last.boot === range.boot && range.from <= last.to + 1)
      last.to = Math.max(last.to, range.to);
    else merged.push({ ...range });
  }
  return merged;
}

/** What is left of the ranges without `gone`. */
export function subtractDropped(
  ranges: readonly DroppedRange[],
  gone: readonly DroppedRange[],
): DroppedRange[] {
  let left = [...ranges];
  for (const cut of gone)
    left = left.flatMap((range) => {
      if (range.boot !== cut.boot || cut.to < range.from || cut.from > range.to) return [range];
      const rest: DroppedRange[] = [];
      if (range.from < cut.from) rest.push({ ...range, to: cut.from - 1 });
      if (range.to > cut.to) rest.push({ ...range, from: cut.to + 1 });
      return rest;
    });
  return left;
}

/**
 * At most `limit` ranges: the oldest two of one boot become one, which then also names what lies between them (a number
 * that the hub has stored counts as stored, so this hides nothing). When no boot has two, the oldest range is given up.
 */
export function boundDropped(ranges: readonly DroppedRange[], limit: number): DroppedRange[] {
  const bounded = ranges.map((range) => ({ ...range }));
  while (bounded.length > limit) {
    const at = bounded.findIndex((range, index) => bounded[index + 1]?.boot === range.boot);
    const [first, second] = [bounded[at], bounded[at + 1]];
    if (at >= 0 && first !== undefined && second !== undefined)
      bounded.splice(at, 2, { ...first, to: second.to });
    else bounded.shift();
  }
  return bounded;
}
