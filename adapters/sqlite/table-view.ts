import type { TableEntry, TableName, TableView } from '../../core/ports/table.ts';

export class SqliteTableView implements TableView {
  readonly table: TableName;
  readonly #forget: () => void;
  readonly #entries = new Map<string, Uint8Array>();
  readonly #listeners = new Set<(keys: readonly string[]) => void>();
  #filled = false;

  constructor(table: TableName, forget: () => void) {
    this.table = table;
    this.#forget = forget;
  }

  get size(): number {
    return this.#entries.size;
  }

  get(key: string): Uint8Array | undefined {
    return this.#entries.get(key);
  }

  entries(): IterableIterator<[string, Uint8Array]> {
    return this.#entries.entries();
  }

  onChange(listener: (keys: readonly string[]) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  fill(entries: readonly TableEntry[]): void {
    for (const { key, value } of entries) if (value !== null) this.#entries.set(key, value);
    this.#filled = true;
  }

  change(entries: readonly TableEntry[]): void {
    if (!this.#filled) return;
    for (const { key, value } of entries) {
      if (value === null) this.#entries.delete(key);
      else this.#entries.set(key, value);
    }
    const keys = [...new Set(entries.map(({ key }) => key))];
    for (const listener of this.#listeners) listener(keys);
  }

  async close(): Promise<void> {
    this.#listeners.clear();
    this.#forget();
  }
}
