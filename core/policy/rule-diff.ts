/**
 * What changes between two rule sets, line by line, `+ ` and `- ` in front. A line that stays is shown only when one below
 * it, indented deeper, changes: so each change stands under the chain it is in. Lines that only moved are no change.
 */
export function ruleDifference(before: readonly string[], after: readonly string[]): string[] {
  const left = countOf(before);
  const common = new Map<string, number>();
  const changes: Change[] = [];
  for (const line of after) {
    const have = left.get(line) ?? 0;
    if (have > 0) {
      left.set(line, have - 1);
      common.set(line, (common.get(line) ?? 0) + 1);
      changes.push({ sign: ' ', line });
    } else changes.push({ sign: '+', line });
  }
  return shown([...gone(before, common), ...changes]);
}

type Change = { sign: ' ' | '+' | '-'; line: string };

/** What is not there any more, with the lines it stood under. */
function gone(before: readonly string[], common: Map<string, number>): Change[] {
  const kept = new Map(common);
  const changes = before.map((line): Change => {
    const have = kept.get(line) ?? 0;
    if (have === 0) return { sign: '-', line };
    kept.set(line, have - 1);
    return { sign: ' ', line };
  });
  return changes.some(({ sign }) => sign === '-') ? changes : [];
}

/** Changed lines, and those that a changed one stands under. Closing braces without a change above them say nothing. */
function shown(changes: readonly Change[]): string[] {
  const lines: string[] = [];
  let open: { depth: number; line: string; told: boolean }[] = [];
  for (const { sign, line } of changes) {
    const depth = depthOf(line);
    open = open.filter((one) => one.depth < depth);
    if (sign === ' ') {
      if (line.trimEnd().endsWith('{')) open.push({ depth, line, told: false });
      continue;
    }
    for (const one of open) {
      if (!one.told) lines.push(`  ${one.line}`);
      one.told = true;
    }
    lines.push(`${sign} ${line}`);
  }
  return lines;
}

function depthOf(line: string): number {
  return line.length - line.trimStart().length;
}

function countOf(lines: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const line of lines) counts.set(line, (counts.get(line) ?? 0) + 1);
  return counts;
}
