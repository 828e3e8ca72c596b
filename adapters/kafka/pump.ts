import type { Logger } from '../../core/ports/logger.ts';
import type { Claims } from './claims.ts';
import { isOutOfRange, messageOf } from './failure.ts';
import { pause } from './pause.ts';
import type { Reader } from './reader.ts';

/** Fetching stops while this much waits to be handed out; one fetch a broker may come on top. */
const MAX_BUFFERED_BYTES = 8 * 1024 * 1024;
const FETCH_WAIT_MS = 500;
const BACKOFF_MS = [100, 300, 1_000, 2_000] as const;

type PumpOptions = { group: string; reader: Reader; claims: Claims; logger: Logger; onRecords: () => void };

/** Keeps the claims' buffers filled, each broker's partitions by a fetch of their own, through failures and restarts. */
export class Pump {
  readonly #options: PumpOptions;
  readonly #stopping = new AbortController();
  readonly #inFlight = new Map<string, Promise<void>>();
  #running: Promise<void> | null = null;
  #failed: unknown = null;
  #wake: () => void = () => {};

  constructor(options: PumpOptions) {
    this.#options = options;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  /** There is room again, or there are other claims. */
  wake(): void {
    this.#wake();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#wake();
    await this.#options.reader.reset();
    await this.#running;
    await Promise.all(this.#inFlight.values());
    await this.#options.reader.reset();
  }

  async #run(): Promise<void> {
    const { group, reader, logger } = this.#options;
    const { signal } = this.#stopping;
    for (let failures = 0; !signal.aborted; ) {
      try {
        await this.#step();
        failures = 0;
      } catch (error) {
        if (signal.aborted) return;
        failures += 1;
        if (failures === 3) logger.warn({ group, reason: messageOf(error) }, 'kafka.fetch.failing');
        await reader.reset();
        await Promise.all(this.#inFlight.values());
        this.#failed = null;
        await pause(BACKOFF_MS[Math.min(failures, BACKOFF_MS.length) - 1] ?? BACKOFF_MS[0], signal);
      }
    }
  }

  async #step(): Promise<void> {
    const { claims, reader } = this.#options;
    const woken = new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    await this.#beginNew();
    const places = claims.bufferedBytes < MAX_BUFFERED_BYTES ? claims.places() : [];
    if (places.length > 0) {
      for (const [leader, some] of await reader.byLeader(places)) {
        if (this.#inFlight.has(leader)) continue;
        const fetching = reader
          .fetch(leader, some, FETCH_WAIT_MS)
          .then((answers) => {
            for (const answer of answers) claims.accept(answer);
            if (answers.some(({ messages }) => messages.length > 0)) this.#options.onRecords();
          })
          .catch((error: unknown) => {
            this.#failed = error;
          })
          .finally(() => this.#inFlight.delete(leader));
        this.#inFlight.set(leader, fetching);
      }
    }
    await Promise.race([woken, ...this.#inFlight.values()]);
    if (this.#failed !== null) await this.#recover(this.#failed);
  }

  async #beginNew(): Promise<void> {
    const { claims, reader, group } = this.#options;
    const fresh = claims.all().filter(({ fetchAt }) => fetchAt < 0);
    if (fresh.length === 0) return;
    const committed = await reader.committed(group, fresh);
    const oldest = await reader.bounds('oldest', fresh);
    for (const claim of fresh) {
      const at = (places: typeof oldest) =>
        places.find(({ topic, partition }) => topic === claim.topic && partition === claim.partition)
          ?.offset ?? -1;
      // It may have moved away while the broker was asked; then nobody looks at it any more.
      claims.begin(claim, at(committed), Math.max(0, at(oldest)));
    }
  }

  async #recover(error: unknown): Promise<void> {
    this.#failed = null;
    if (!isOutOfRange(error)) throw error;
    const { claims, reader } = this.#options;
    const all = claims.all().filter(({ fetchAt }) => fetchAt >= 0);
    for (const { topic, partition, offset } of await reader.bounds('oldest', all)) {
      const claim = all.find((one) => one.topic === topic && one.partition === partition);
      if (claim !== undefined && claim.fetchAt < offset) claims.overtaken(claim, offset);
    }
  }
}
