import {
  type LogBatch,
  LogError,
  type LogRecord,
  type SubscribeOptions,
  type Subscription,
} from '../../core/ports/log.ts';
import { inLogWords, type LogFile } from './file.ts';
import { type Claim, claimKey, type Group, type Member } from './group.ts';
import type { Heads } from './heads.ts';
import { unpack } from './packed.ts';

/** One read from the file; whatever a record's size, a batch is not much larger. */
const MAX_BATCH_BYTES = 16 * 1024 * 1024;

type Outstanding = { batch: LogBatch; ends: ReadonlyMap<Claim, number> };

export class SqliteSubscription implements Subscription, Member {
  readonly topics: SubscribeOptions['topics'];
  claims: ReadonlyMap<string, Claim> = new Map();
  readonly #options: SubscribeOptions;
  readonly #file: LogFile;
  readonly #heads: Heads;
  readonly #group: Group;
  readonly #forget: () => void;
  #outstanding: Outstanding | null = null;
  /** Reading or committing. */
  #busy = false;
  #skipped = 0;
  #turn = 0;
  #closed = false;
  /** Something changed since it was last looked for, also while nobody waited. */
  #hasNews = false;
  #endWait: () => void = () => {};

  constructor(
    options: SubscribeOptions,
    { file, heads, group }: { file: LogFile; heads: Heads; group: Group },
    forget: () => void,
  ) {
    this.topics = options.topics;
    this.#options = options;
    this.#file = file;
    this.#heads = heads;
    this.#group = group;
    const endNews = heads.onAppend(() => this.#wake());
    this.#forget = () => {
      endNews();
      forget();
    };
    group.join(this);
  }

  assign(claims: ReadonlyMap<string, Claim>): void {
    this.claims = claims;
    this.#wake();
  }

  async next(signal?: AbortSignal): Promise<LogBatch | null> {
    if (this.#closed) throw new LogError('closed', 'the subscription is closed');
    if (this.#outstanding !== null || this.#busy) {
      throw new Error('next() before the last batch was committed');
    }
    this.#busy = true;
    try {
      const deadline = performance.now() + this.#options.maxWaitMs;
      while (!this.#closed && signal?.aborted !== true) {
        this.#hasNews = false;
        const batch = await this.#take();
        if (batch !== null) return batch;
        const remainingMs = deadline - performance.now();
        if (remainingMs <= 0) return null;
        await this.#news(remainingMs, signal);
      }
      return null;
    } finally {
      this.#busy = false;
    }
  }

  async #take(): Promise<LogBatch | null> {
    const ready = this.#readyClaims();
    if (ready.length === 0) return null;
    const found = await inLogWords(
      this.#file.call('read', {
        from: ready.map(({ topic, partition, position }) => ({ topic, partition, offset: position })),
        maxRecords: this.#options.maxRecords,
        maxBytes: MAX_BATCH_BYTES,
      }),
    );
    const records: LogRecord[] = [];
    const ends = new Map<Claim, number>();
    unpack(found.packed).forEach(({ key, value }, i) => {
      const [topic, partition] = [found.topics[i], found.partitions[i]];
      const [offset, appendedAtMs] = [found.offsets[i], found.appendedAtMs[i]];
      if (topic === undefined || partition === undefined || value === null) return;
      if (offset === undefined || appendedAtMs === undefined) return;
      const claim = this.claims.get(claimKey(topic, partition));
      // Partitions may have moved, or been cut short by retention, while the file was read.
      if (claim === undefined || claim.position !== offset) return;
      claim.position = offset + 1;
      ends.set(claim, offset + 1);
      records.push({ topic, partition, offset, key, value, appendedAtMs });
    });
    if (records.length === 0) return null;
    const batch: LogBatch = { records, skipped: this.#skipped };
    this.#skipped = 0;
    this.#outstanding = { batch, ends };
    return batch;
  }

  /** Those with something to read, beginning with another one each time. */
  #readyClaims(): Claim[] {
    const ready: Claim[] = [];
    for (const claim of this.claims.values()) {
      const { low, next } = this.#heads.of(claim.topic, claim.partition);
      if (claim.position < low) {
        this.#skipped += low - claim.position;
        claim.position = low;
      }
      if (claim.position < next) ready.push(claim);
    }
    this.#turn = ready.length === 0 ? 0 : (this.#turn + 1) % ready.length;
    return [...ready.slice(this.#turn), ...ready.slice(0, this.#turn)];
  }

  #news(waitMs: number, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', done);
        this.#endWait = () => {};
        resolve();
      };
      const timer = setTimeout(done, waitMs);
      signal?.addEventListener('abort', done);
      this.#endWait = done;
      if (this.#hasNews || signal?.aborted === true) done();
    });
  }

  #wake(): void {
    this.#hasNews = true;
    this.#endWait();
  }

  async commit(batch: LogBatch): Promise<{ ok: true } | { ok: false; code: 'fenced' }> {
    const outstanding = this.#outstanding;
    if (outstanding?.batch !== batch) throw new Error('commit() of a batch that is not the last one');
    this.#outstanding = null;
    const ends = [...outstanding.ends];
    const kept = ends.filter(([claim]) => this.claims.get(claimKey(claim.topic, claim.partition)) === claim);
    if (this.#closed || kept.length < ends.length) {
      for (const [claim] of kept) claim.position = claim.committed;
      return { ok: false, code: 'fenced' };
    }
    const places = ends.map(([{ topic, partition }, offset]) => ({ topic, partition, offset }));
    this.#busy = true;
    try {
      await inLogWords(this.#file.edit({ kind: 'commit', group: this.#group.name, places }));
    } catch (error) {
      for (const [claim] of ends) claim.position = claim.committed;
      throw error;
    } finally {
      this.#busy = false;
    }
    // One that moved while the disk was waited for is read again by its new reader.
    for (const [claim, offset] of ends) this.#group.moveForward(claim, offset);
    return { ok: true };
  }

  async caughtUp(): Promise<boolean> {
    return (await this.lag()) === 0;
  }

  async lag(): Promise<number> {
    let lag = 0;
    for (const { topic, partition, committed } of this.claims.values()) {
      const { low, next } = this.#heads.of(topic, partition);
      lag += Math.max(0, next - Math.max(low, committed));
    }
    return lag;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#forget();
    this.#group.leave(this);
  }
}
