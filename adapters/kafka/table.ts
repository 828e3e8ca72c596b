import { MAX_RECORD_BYTES } from '../../core/ports/log.ts';
import {
  type Table,
  type TableEntry,
  TableError,
  type TableName,
  type TableOwner,
  type TableView,
} from '../../core/ports/table.ts';
import type { KafkaOptions } from './client.ts';
import { messageOf } from './failure.ts';
import { KafkaOwner } from './owner.ts';
import { asBuffer, SendError, type Sender } from './sender.ts';
import { KafkaTableView } from './table-view.ts';
import { topicName } from './topics.ts';

type Options = { kafka: KafkaOptions; sender: Sender; prepare: () => Promise<void> };

export class KafkaTable implements Table {
  readonly #options: Options;
  readonly #views = new Set<KafkaTableView>();
  readonly #owners = new Set<KafkaOwner>();
  #state: 'new' | 'started' | 'stopped' = 'new';

  constructor(options: Options) {
    this.#options = options;
  }

  async start(): Promise<void> {
    if (this.#state === 'started') return;
    await this.#options.prepare().catch((error: unknown) => {
      throw new TableError('unavailable', `Kafka cannot be reached or set up: ${messageOf(error)}`);
    });
    this.#state = 'started';
  }

  async view(table: TableName): Promise<TableView> {
    this.#mustBeStarted();
    const { kafka } = this.#options;
    const view: KafkaTableView = new KafkaTableView(kafka, topicName(kafka.prefix, table), () =>
      this.#views.delete(view),
    );
    this.#views.add(view);
    await view.open();
    return view;
  }

  async write(table: Exclude<TableName, 'resources'>, entries: readonly TableEntry[]): Promise<void> {
    this.#mustBeStarted();
    mustFit(entries);
    if (entries.length === 0) return;
    const { kafka, sender } = this.#options;
    const messages = entries.map(({ key, value }) => ({
      key,
      value: value === null ? null : asBuffer(value),
      partition: 0,
    }));
    await sender.send(topicName(kafka.prefix, table), messages).catch((error: unknown) => {
      throw error instanceof SendError ? new TableError(error.code, error.message) : error;
    });
  }

  async claim(role: 'control'): Promise<TableOwner> {
    this.#mustBeStarted();
    const owner = await KafkaOwner.claim(role, this.#options.kafka);
    this.#owners.add(owner);
    return {
      role,
      write: async (table, entries) => {
        mustFit(entries);
        await owner.write(table, entries);
      },
      release: async () => {
        this.#owners.delete(owner);
        await owner.release();
      },
    };
  }

  async stop(): Promise<void> {
    if (this.#state !== 'started') return;
    this.#state = 'stopped';
    await Promise.all([...this.#views].map((view) => view.close()));
    await Promise.all([...this.#owners].map((owner) => owner.release()));
    await this.#options.sender.close();
  }

  #mustBeStarted(): void {
    if (this.#state !== 'started') throw new TableError('closed', `the table is ${this.#state}`);
  }
}

function mustFit(entries: readonly TableEntry[]): void {
  for (const { key, value } of entries) {
    if (value !== null && value.byteLength > MAX_RECORD_BYTES) {
      const limit = `${value.byteLength} bytes for ${key}, at most ${MAX_RECORD_BYTES} are taken`;
      throw new TableError('too-large', limit);
    }
  }
}
