import type { ComponentChildren } from 'preact';
import { ScrollingTable } from './panel.tsx';

export type DataColumn<T> = {
  title: string;
  /** More about it, on hover. */
  hint?: string;
  cell: (row: T) => ComponentChildren;
  /** `name` says which row it is, `number` stands right, `words` may take several lines. */
  shape?: 'name' | 'number' | 'words';
};

/** So many columns fit a phone; what has more stacks its cells there, each under the title of its column. */
const NARROW = 4;

/** A table by its columns, or what is said when it has no rows. */
export function DataTable<T>({
  label,
  columns,
  rows,
  keyOf,
  empty,
}: {
  label: string;
  columns: readonly DataColumn<T>[];
  rows: readonly T[];
  keyOf: (row: T) => string;
  empty: string;
}) {
  if (rows.length === 0) return <p class="muted">{empty}</p>;
  const isWide = columns.length > NARROW || columns.some(({ shape }) => shape === 'words');
  return (
    <ScrollingTable label={label} class={isWide ? 'stacks' : ''}>
      <thead>
        <tr>
          {columns.map(({ title, hint, shape }) => (
            <th key={title} scope="col" class={shape === 'number' ? 'number' : ''} title={hint}>
              {title}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {rows.map((row) => (
          <tr key={keyOf(row)}>
            {columns.map(({ title, cell, shape }) =>
              shape === 'name' ? (
                <th key={title} scope="row">
                  {cell(row)}
                </th>
              ) : (
                <td key={title} class={shape ?? ''} data-title={title}>
                  {cell(row)}
                </td>
              ),
            )}
          </tr>
        ))}
      </tbody>
    </ScrollingTable>
  );
}
