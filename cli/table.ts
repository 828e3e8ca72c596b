/** Columns that line up; the last one is not padded. Widths count code points, so colours are put in afterwards. */
export type Column<T> = {
  header: string;
  text: (row: T) => string;
  /** Puts colour around a cell that was padded already. */
  paint?: (row: T, padded: string) => string;
  alignRight?: boolean;
  /** Shown with -o wide only. */
  wide?: boolean;
};

export function renderTable<T>(columns: readonly Column<T>[], rows: readonly T[], isWide: boolean): string[] {
  const shown = columns.filter((column) => isWide || column.wide !== true);
  const cells = rows.map((row) => shown.map((column) => plainText(column.text(row))));
  const widths = shown.map((column, i) =>
    cells.reduce((width, line) => Math.max(width, lengthOf(line[i] ?? '')), lengthOf(column.header)),
  );
  const join = (texts: readonly string[], row: T | null) =>
    shown
      .map((column, i) => {
        const isLast = i === shown.length - 1;
        const padded = pad(
          texts[i] ?? '',
          isLast && !column.alignRight ? 0 : (widths[i] ?? 0),
          column.alignRight,
        );
        return row === null || column.paint === undefined ? padded : column.paint(row, padded);
      })
      .join('  ')
      .trimEnd();
  return [
    join(
      shown.map((column) => column.header),
      null,
    ),
    ...rows.map((row, n) => join(cells[n] ?? [], row)),
  ];
}

export function pad(text: string, width: number, alignRight = false): string {
  const fill = ' '.repeat(Math.max(0, width - lengthOf(text)));
  return alignRight ? fill + text : text + fill;
}

/** Cut to a width, with an ellipsis where something is left out. */
export function cut(text: string, width: number): string {
  const points = [...text];
  return points.length <= width ? text : `${points.slice(0, Math.max(0, width - 1)).join('')}…`;
}

/** Without control characters: what a site says of itself must not steer a terminal. */
export function plainText(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}]+/gu, ' ');
}

function lengthOf(text: string): number {
  return [...text].length;
}
