import type { TableView } from '../../core/ports/table.ts';
import type { KafkaOptions } from './client.ts';
import { isOutOfRange, messageOf } from './failure.ts';
import { pause } from './pause.ts';
import { type Fetched, Reader } from './reader.ts';

const PARTITION = 0;
const FETCH_WAIT_MS = 500;
/** An answer without records that came at once would be asked for again at once. */
const EMPTY_PAUSE_MS = 100;
const BACKOFF_MS = [100, 300, 1_000, 2_000] as const;

/** Follows a compacted topic from its beginning. A broker that goes away leaves the view as it is until it is back. */
export class KafkaTableView implements TableView {
  readonly #kafka: KafkaOptions;
  readonly #topic: string;
  readonly #reader: Reader;
  readonly #forget: () => void;
  readonly #stopping = new AbortController();
  readonly #entries = new Map<string, Uint8Array>();
  readonly #listeners = new Set<(keys: readonly string[]) => void>();
  readonly #caughtUp = Promise.withResolvers<void>();
  /** The end of the topic when the view was opened: what it must have seen to be caught up. */
  #target: number | null = null;
  #offset = 0;
  #running: Promise<void> | null = null;

  constructor(kafka: KafkaOptions, topic: string, forget: () => void) {
    this.#forget = forget;
    this.#kafka = kafka;
    this.#topic = topic;
    this.#reader = new Reader(kafka, [topic]);
  }

  /** Resolves when the view is caught up, or closed. */
  open(): Promise<void> {
    this.#running ??= this.#follow();
    return this.#caughtUp.promise;
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

  async close(): Promise<void> {
    this.#stopping.abort();
    this.#forget();
    this.#listeners.clear();
    await this.#reader.reset();
    await this.#running;
    this.#caughtUp.resolve();
  }

  async #follow(): Promise<void> {
    const { signal } = this.#stopping;
    for (let failures = 0; !signal.aborted; ) {
      const fetched = await this.#fetch().catch(async (error: unknown) => {
        if (signal.aborted) return null;
        failures += 1;
        if (failures === 3) {
          this.#kafka.logger.warn({ topic: this.#topic, reason: messageOf(error) }, 'kafka.fetch.failing');
        }
        if (isOutOfRange(error)) this.#offset = 0;
        await this.#reader.reset();
        await pause(BACKOFF_MS[Math.min(failures, BACKOFF_MS.length) - 1] ?? BACKOFF_MS[0], signal);
        return null;
      });
      if (fetched === null || signal.aborted) continue;
      failures = 0;
      this.#apply(fetched);
      if (fetched.nextOffset === fetched.fromOffset) await pause(EMPTY_PAUSE_MS, signal);
    }
    await this.#reader.reset();
  }

  async #fetch(): Promise<Fetched | null> {
    const place = { topic: this.#topic, partition: PARTITION, offset: this.#offset };
    for (const [leader, places] of await this.#reader.byLeader([place])) {
      const [fetched] = await this.#reader.fetch(leader, places, FETCH_WAIT_MS);
      return fetched ?? null;
    }
    throw new Error(`${this.#topic} has no leader`);
  }

  #apply({ messages, fromOffset, nextOffset: readTo, stableOffset, highWatermark }: Fetched): void {
    // Asked for alone, a partition answers with whole batches up to its stable offset, or as many as there is room for.
    // Nothing from it means that compaction has left empty batches only, which the library does not show.
    const nextOffset = readTo === fromOffset ? Math.max(readTo, stableOffset) : readTo;
    this.#offset = nextOffset;
    const changed = new Set<string>();
    for (const { key, value } of messages) {
      if (key === null) continue;
      const name = key.toString();
      if (value === null) this.#entries.delete(name);
      else this.#entries.set(name, value);
      changed.add(name);
    }
    if (changed.size > 0) for (const listener of this.#listeners) listener([...changed]);
    // Not the last stable offset: a write that has resolved may still wait for its transaction's marker.
    this.#target ??= highWatermark;
    const isEnd = nextOffset === fromOffset && nextOffset >= highWatermark;
    if (nextOffset >= this.#target || isEnd) this.#caughtUp.resolve();
  }
}
