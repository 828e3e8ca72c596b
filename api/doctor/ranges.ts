/** Whole numbers from `from` to `to`, both included. */
export type Range = { from: number; to: number };

/** In order and apart: ranges that touch or overlap become one. */
export function merged(ranges: readonly Range[]): Range[] {
  const result: Range[] = [];
  for (const { from, to } of ranges.toSorted((a, b) => a.from - b.from)) {
    const last = result.at(-1);
    if (last === undefined || from > last.to + 1) result.push({ from, to });
    else last.to = Math.max(last.to, to);
  }
  return result;
}

/** What of `whole` is in none of `parts`. Both are taken as sets. */
export function without(whole: readonly Range[], parts: readonly Range[]): Range[] {
  const left: Range[] = [];
  const taken = merged(parts);
  for (const { from, to } of merged(whole)) {
    let at = from;
    for (const part of taken) {
      if (part.to < at) continue;
      if (part.from > to) break;
      if (part.from > at) left.push({ from: at, to: part.from - 1 });
      at = part.to + 1;
    }
    if (at <= to) left.push({ from: at, to });
  }
  return left;
}

export function sizeOf(ranges: readonly Range[]): number {
  return ranges.reduce((sum, { from, to }) => sum + to - from + 1, 0);
}
