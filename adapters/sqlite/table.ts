import { MAX_RECORD_BYTES } from '../../core/ports/log.ts';
import {
  type Table,
  type TableEntry,
  TableError,
  type TableName,
  type TableOwner,
  type TableView,
} from '../../core/ports/table.ts';
import { FileError, type LogFile } from './file.ts';
import { pack, unpack } from './packed.ts';
import { SqliteTableView } from './table-view.ts';

const HOLDER = 'table';

export class SqliteTable implements Table {
  readonly #file: LogFile;
  readonly #views = new Set<SqliteTableView>();
  #state: 'new' | 'started' | 'stopped' = 'new';

  constructor(file: LogFile) {
    this.#file = file;
  }

  async start(): Promise<void> {
    if (this.#state === 'started') return;
    await inTableWords(this.#file.hold(HOLDER));
    this.#state = 'started';
  }

  async view(table: TableName): Promise<TableView> {
    this.#mustBeStarted();
    const view: SqliteTableView = new SqliteTableView(table, () => this.#views.delete(view));
    this.#views.add(view);
    // Changes answered before this are in what it loads; the view takes only those answered after it.
    view.fill(unpack(await inTableWords(this.#file.call('load', { table }))));
    return view;
  }

  write(table: Exclude<TableName, 'resources'>, entries: readonly TableEntry[]): Promise<void> {
    return this.#write(table, entries, null);
  }

  async claim(role: 'control'): Promise<TableOwner> {
    this.#mustBeStarted();
    const claimed = await inTableWords(this.#file.edit({ kind: 'claim', role }));
    if (claimed.kind !== 'claimed') throw new Error(`a claim was answered by ${claimed.kind}`);
    const owner = { role, epoch: claimed.epoch };
    let released = false;
    return {
      role,
      write: async (table, entries) => {
        if (released) throw new TableError('closed', `the role ${role} was released`);
        await this.#write(table, entries, owner);
      },
      release: async () => {
        released = true;
      },
    };
  }

  async stop(): Promise<void> {
    if (this.#state !== 'started') return;
    this.#state = 'stopped';
    for (const view of [...this.#views]) await view.close();
    await this.#file.release(HOLDER);
  }

  async #write(
    table: TableName,
    entries: readonly TableEntry[],
    owner: { role: string; epoch: number } | null,
  ): Promise<void> {
    this.#mustBeStarted();
    for (const { key, value } of entries) {
      if (value !== null && value.byteLength > MAX_RECORD_BYTES) {
        const limit = `${value.byteLength} bytes for ${key}, at most ${MAX_RECORD_BYTES} are taken`;
        throw new TableError('too-large', limit);
      }
    }
    if (entries.length === 0) return;
    const packed = pack(entries);
    const result = await inTableWords(this.#file.edit({ kind: 'write', table, owner, packed }));
    if (result.kind === 'fenced') {
      throw new TableError('fenced', `the role ${owner?.role} has a newer owner`);
    }
    for (const view of this.#views) if (view.table === table) view.change(entries);
  }

  #mustBeStarted(): void {
    if (this.#state !== 'started') throw new TableError('closed', `the table is ${this.#state}`);
  }
}

async function inTableWords<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw error instanceof FileError ? new TableError(error.code, error.message) : error;
  }
}
