import type { Table, TableEntry, TableView } from '../../core/ports/table.ts';
import { until } from '../parts/process.ts';

/** Tables to try the contract on, on a real part, with nothing in them. */
export type TableWorld = {
  readonly table: Table;
  /** The same entries, after the process that had them has ended. */
  reopen(): Promise<Table>;
  close(): Promise<void>;
};
export type OpenTable = () => Promise<TableWorld>;

export async function withTable(
  open: OpenTable,
  body: (table: Table, world: TableWorld) => Promise<void>,
): Promise<void> {
  const world = await open();
  try {
    await body(world.table, world);
  } finally {
    await world.close();
  }
}

export function entry(key: string, text: string | null): TableEntry {
  return { key, value: text === null ? null : Buffer.from(text) };
}

/** What a view shows, as text. */
export function shown(view: TableView): Record<string, string> {
  return Object.fromEntries([...view.entries()].map(([key, value]) => [key, Buffer.from(value).toString()]));
}

export async function untilShown(view: TableView, key: string, text: string | undefined): Promise<void> {
  await until(`${key} is ${text}`, () => shown(view)[key] === text);
}
