import type { LoadedConfig } from '../config.ts';

/** Where each setting's value comes from, secrets left out. */
export async function showSettings({ sources }: LoadedConfig): Promise<void> {
  const rows = sources.map(({ key, value, source, flag, variable, about }) => [
    key,
    value === '' ? '-' : value,
    source,
    flag,
    variable,
    about,
  ]);
  const widths = [0, 1, 2, 3, 4].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  for (const row of rows)
    process.stdout.write(`${row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join('  ')}\n`);
}
