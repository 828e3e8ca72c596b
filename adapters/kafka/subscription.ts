import { type LogBatch, LogError, type SubscribeOptions, type Subscription } from '../../core/ports/log.ts';
import { type Claim, Claims } from './claims.ts';
import type { KafkaOptions } from './client.ts';
import { messageOf } from './failure.ts';
import { Membership } from './membership.ts';
import { pause } from './pause.ts';
import { Pump } from './pump.ts';
import { Reader } from './reader.ts';
import { topicName } from './topics.ts';

const COMMIT_AGAIN_MS = 300;

type Outstanding = { batch: LogBatch; ends: ReadonlyMap<Claim, number> };

export class KafkaSubscription implements Subscription {
  readonly #options: SubscribeOptions;
  readonly #forget: () => void;
  readonly #claims: Claims;
  readonly #membership: Membership;
  readonly #pump: Pump;
  readonly #figures: Reader;
  readonly #closing = new AbortController();
  #outstanding: Outstanding | null = null;
  #waiting = false;
  #wake: () => void = () => {};
  #closed: Promise<void> | null = null;

  constructor(kafka: KafkaOptions, options: SubscribeOptions, forget: () => void) {
    const group = topicName(kafka.prefix, options.group);
    const topics = options.topics.map((name) => topicName(kafka.prefix, name));
    this.#options = options;
    this.#forget = forget;
    this.#claims = new Claims(new Map(options.topics.map((name) => [topicName(kafka.prefix, name), name])));
    this.#figures = new Reader(kafka, topics);
    this.#pump = new Pump({
      group,
      reader: new Reader(kafka, topics),
      claims: this.#claims,
      logger: kafka.logger,
      onRecords: () => this.#wake(),
    });
    this.#membership = new Membership({
      kafka,
      group,
      topics,
      onAssigned: (assignment) => {
        this.#claims.assign(assignment);
        this.#pump.wake();
      },
    });
  }

  start(): void {
    this.#membership.start();
    this.#pump.start();
  }

  async next(signal?: AbortSignal): Promise<LogBatch | null> {
    if (this.#closed !== null) throw new LogError('closed', 'the subscription is closed');
    if (this.#outstanding !== null || this.#waiting) {
      throw new Error('next() before the last batch was committed');
    }
    this.#waiting = true;
    try {
      const deadline = performance.now() + this.#options.maxWaitMs;
      while (!this.#closing.signal.aborted && signal?.aborted !== true) {
        const batch = this.#take();
        if (batch !== null) return batch;
        const remainingMs = deadline - performance.now();
        if (remainingMs <= 0) return null;
        const news = new AbortController();
        this.#wake = () => news.abort();
        await pause(
          remainingMs,
          AbortSignal.any(signal === undefined ? [news.signal] : [news.signal, signal]),
        );
      }
      return null;
    } finally {
      this.#waiting = false;
    }
  }

  #take(): LogBatch | null {
    const taken = this.#claims.take(this.#options.maxRecords);
    if (taken.size === 0) return null;
    const ends = new Map<Claim, number>();
    for (const [claim, records] of taken) {
      const last = records.at(-1);
      if (last !== undefined) ends.set(claim, last.offset + 1);
    }
    const batch: LogBatch = { records: [...taken.values()].flat(), skipped: this.#claims.skipped };
    this.#claims.skipped = 0;
    this.#outstanding = { batch, ends };
    this.#pump.wake();
    return batch;
  }

  async commit(batch: LogBatch): Promise<{ ok: true } | { ok: false; code: 'fenced' }> {
    const outstanding = this.#outstanding;
    if (outstanding?.batch !== batch) throw new Error('commit() of a batch that is not the last one');
    const ends = [...outstanding.ends];
    const places = ends.map(([{ topic, partition }, offset]) => ({ topic, partition, offset }));
    const { signal } = this.#closing;
    while (!signal.aborted && ends.every(([claim]) => this.#claims.holds(claim))) {
      // The library sends with the generation it is in now, which is the one just looked at.
      const failure = await this.#membership.commit(places).then(
        () => null,
        (error: unknown) => messageOf(error),
      );
      if (failure === null) {
        for (const [claim, offset] of ends) claim.committed = Math.max(claim.committed, offset);
        this.#outstanding = null;
        return { ok: true };
      }
      await pause(COMMIT_AGAIN_MS, signal);
    }
    for (const [claim] of ends) if (this.#claims.holds(claim)) this.#claims.rewind(claim);
    this.#outstanding = null;
    this.#pump.wake();
    return { ok: false, code: 'fenced' };
  }

  async caughtUp(): Promise<boolean> {
    const claims = this.#claims.all();
    if (!this.#claims.joined || claims.some(({ fetchAt }) => fetchAt < 0)) return false;
    return (await this.#lagOf(claims)) === 0;
  }

  async lag(): Promise<number> {
    return this.#lagOf(this.#claims.all().filter(({ fetchAt }) => fetchAt >= 0));
  }

  async #lagOf(claims: readonly Claim[]): Promise<number> {
    if (claims.length === 0) return 0;
    try {
      const ends = await this.#figures.bounds('next', claims);
      return ends.reduce((lag, { topic, partition, offset }) => {
        const claim = claims.find((one) => one.topic === topic && one.partition === partition);
        return lag + Math.max(0, offset - (claim?.committed ?? offset));
      }, 0);
    } catch (error) {
      await this.#figures.reset();
      throw new LogError('unavailable', `the end of the log is not known: ${messageOf(error)}`);
    }
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    this.#closing.abort();
    this.#wake();
    await Promise.all([this.#membership.stop(), this.#pump.stop(), this.#figures.reset()]);
    this.#forget();
  }
}
