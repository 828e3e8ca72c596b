import type { ClickHouseClient } from '@clickhouse/client';
import type { RowOf, StoreTable } from '../../core/model/rows.ts';
import type { Logger } from '../../core/ports/logger.ts';
import { type QueryLane, type QueryParams, type Store, StoreError } from '../../core/ports/store.ts';
import { type Clients, LANE_LIMITS, type LaneLimits } from './clients.ts';
import { openEmbedded } from './embedded.ts';
import { compileEncoder, NativeBuffer, type TableEncoder } from './encoder.ts';
import { insertError, storeError } from './failure.ts';
import { Lane } from './lane.ts';
import { migrate } from './schema/migrate.ts';
import { openServer } from './server.ts';

/** What the buffer of blocks may keep between batches; a larger one is given back. */
const KEPT_BUFFER_BYTES = 32 * 1024 * 1024;
const FIRST_BUFFER_BYTES = 1024 * 1024;

export type StoreOptions = { path: string } | { url: string };

/** The store in this process (`path`), or on a ClickHouse server (`url`). */
export function openStore(options: StoreOptions, deps: { logger: Logger; limits?: LaneLimits }): Store {
  return new ClickHouseStore(options, deps.logger, deps.limits ?? LANE_LIMITS);
}

type Opened = { clients: Clients; lanes: Record<QueryLane, Lane<ClickHouseClient>> };

class ClickHouseStore implements Store {
  readonly #options: StoreOptions;
  readonly #logger: Logger;
  readonly #limits: LaneLimits;
  readonly #encoders: { [T in StoreTable]: TableEncoder<T> } = {
    report: compileEncoder('report'),
    quarantine: compileEncoder('quarantine'),
    gap: compileEncoder('gap'),
    event: compileEncoder('event'),
    dirty_minute: compileEncoder('dirty_minute'),
    membership: compileEncoder('membership'),
    policy_report: compileEncoder('policy_report'),
    flow: compileEncoder('flow'),
    site_evidence: compileEncoder('site_evidence'),
    decision: compileEncoder('decision'),
  };
  #buffer = new NativeBuffer(FIRST_BUFFER_BYTES);
  #opened: Opened | null = null;
  /** The last write: the buffer and what it is handed over through serve one at a time. */
  #writing: Promise<void> = Promise.resolve();
  readonly #running = new Set<Promise<unknown>>();

  constructor(options: StoreOptions, logger: Logger, limits: LaneLimits) {
    this.#options = options;
    this.#logger = logger;
    this.#limits = limits;
  }

  async start(): Promise<void> {
    if (this.#opened !== null) return;
    try {
      const clients =
        'path' in this.#options
          ? await openEmbedded(this.#options.path, this.#limits)
          : await openServer(this.#options.url, this.#limits);
      try {
        const version = await migrate(clients.deriver);
        await clients.settle();
        this.#logger.info({ version }, 'store.opened');
      } catch (error) {
        await clients.close();
        throw error;
      }
      const { reader, replay } = clients;
      this.#opened = { clients, lanes: { reader: new Lane(reader), replay: new Lane(replay) } };
    } catch (error) {
      throw storeError(error);
    }
  }

  async insert<T extends StoreTable>(table: T, rows: readonly RowOf<T>[]): Promise<void> {
    const { clients } = this.#use();
    if (rows.length === 0) return;
    const { columns, structure, encode } = this.#encoders[table];
    const written = this.#writing.then(async () => {
      if (this.#buffer.bytes.length > KEPT_BUFFER_BYTES) this.#buffer = new NativeBuffer(FIRST_BUFFER_BYTES);
      const buffer = this.#buffer;
      buffer.length = 0;
      encode(rows, buffer);
      await clients.insertBlock(table, columns, structure, buffer.bytes.subarray(0, buffer.length));
    });
    this.#writing = written.catch(() => {});
    await this.#track(written, insertError);
  }

  async query<R extends object>(
    sql: string,
    params: QueryParams = {},
    lane: QueryLane = 'reader',
  ): Promise<R[]> {
    const { lanes } = this.#use();
    return this.#track(
      lanes[lane].run(async (client) => {
        const result = await client.query({ query: sql, query_params: { ...params }, format: 'JSONEachRow' });
        return result.json<R>();
      }),
    );
  }

  async derive(sql: string, params: QueryParams = {}): Promise<void> {
    const { clients } = this.#use();
    await this.#track(clients.deriver.command({ query: sql, query_params: { ...params } }));
  }

  async stop(): Promise<void> {
    const opened = this.#opened;
    if (opened === null) return;
    this.#opened = null;
    for (const lane of Object.values(opened.lanes)) lane.close();
    await Promise.allSettled(this.#running);
    await opened.clients.close();
  }

  #use(): Opened {
    if (this.#opened === null) throw new StoreError('closed', 'the store is not open');
    return this.#opened;
  }

  async #track<R>(work: Promise<R>, toError = storeError): Promise<R> {
    this.#running.add(work);
    try {
      return await work;
    } catch (error) {
      throw toError(error);
    } finally {
      this.#running.delete(work);
    }
  }
}
