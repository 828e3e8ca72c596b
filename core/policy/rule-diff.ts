/** Rule sets of which the product of lines is above this are told as gone and new where they begin and end to differ. */
const COMPARED_MOST = 4_000_000;

/**
 * What changes between two rule sets, line by line, `+ ` and `- ` in front. A line that stays is shown only when one that
 * stands under it changes: so each change stands under the chain it is in.
 */
export function ruleDifference(before: readonly string[], after: readonly string[]): string[] {
  return shown(aligned(before, after));
}

type Change = { sign: ' ' | '+' | '-'; line: string };

function aligned(before: readonly string[], after: readonly string[]): Change[] {
  let head = 0;
  while (head < before.length && before[head] === after[head]) head++;
  let tail = 0;
  while (tail < Math.min(before.length, after.length) - head && before.at(-1 - tail) === after.at(-1 - tail))
    tail++;
  const same = (lines: readonly string[]) => lines.map((line): Change => ({ sign: ' ', line }));
  return [
    ...same(before.slice(0, head)),
    ...compared(before.slice(head, before.length - tail), after.slice(head, after.length - tail)),
    ...same(before.slice(before.length - tail)),
  ];
}

/** By their longest common subsequence. */
function compared(before: readonly string[], after: readonly string[]): Change[] {
  const gone = before.map((line): Change => ({ sign: '-', line }));
  const fresh = after.map((line): Change => ({ sign: '+', line }));
  if (before.length * after.length > COMPARED_MOST) return [...gone, ...fresh];
  const width = after.length + 1;
  const longest = new Uint32Array((before.length + 1) * width);
  const at = (i: number, j: number) => longest[i * width + j] ?? 0;
  for (let i = before.length - 1; i >= 0; i--)
    for (let j = after.length - 1; j >= 0; j--)
      longest[i * width + j] =
        before[i] === after[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1));
  const changes: Change[] = [];
  let i = 0;
  let j = 0;
  while (i < before.length && j < after.length) {
    if (before[i] === after[j]) {
      changes.push({ sign: ' ', line: before[i] ?? '' });
      i++;
      j++;
    } else if (at(i + 1, j) >= at(i, j + 1)) changes.push(...gone.slice(i, ++i));
    else changes.push(...fresh.slice(j, ++j));
  }
  return [...changes, ...gone.slice(i), ...fresh.slice(j)];
}

/** Changed lines, and those that a changed one stands under. */
function shown(changes: readonly Change[]): string[] {
  const lines: string[] = [];
  let open: { depth: number; line: string; isTold: boolean }[] = [];
  for (const { sign, line } of changes) {
    const depth = line.length - line.trimStart().length;
    open = open.filter((one) => one.depth < depth);
    if (sign === ' ') {
      if (OPENS.test(line)) open.push({ depth, line, isTold: false });
      continue;
    }
    for (const one of open) {
      if (!one.isTold) lines.push(`  ${one.line}`);
      one.isTold = true;
    }
    lines.push(`${sign} ${line}`);
  }
  return lines;
}

/** A line that others stand under; a remark may follow. */
const OPENS = /\{\s*(#.*)?$/;
