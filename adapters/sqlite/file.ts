import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { Clock } from '../../core/ports/clock.ts';
import { LogError } from '../../core/ports/log.ts';
import type { Logger } from '../../core/ports/logger.ts';
import type { Calls, Edit, EditResult, Reply, Span } from './protocol.ts';

/** Above the two ports, so each of them can say it in its own words. */
export class FileError extends Error {
  readonly code: 'locked' | 'unavailable' | 'closed';
  constructor(code: 'locked' | 'unavailable' | 'closed', message: string) {
    super(message);
    this.name = 'FileError';
    this.code = code;
  }
}

export async function inLogWords<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw error instanceof FileError ? new LogError(error.code, error.message) : error;
  }
}

/** What waits for the disk may use this much memory; beyond it edits are refused. */
const MAX_QUEUED_BYTES = 64 * 1024 * 1024;
/** Bounds one transaction, so that a reader is not kept waiting. */
const MAX_TRANSACTION_BYTES = 8 * 1024 * 1024;

type Queued = {
  edit: Edit;
  sizeBytes: number;
  resolve: (result: EditResult) => void;
  reject: (error: Error) => void;
};
type Pending = { resolve: (answer: never) => void; reject: (error: Error) => void };

/*
 * The log's file and the thread that has it, shared by a log and a table: open from the first that holds it until the
 * last lets go. Edits that arrive while a transaction is on its way to the disk go together in the next one.
 */
export class LogFile {
  readonly dir: string;
  readonly #partitions: number;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #holders = new Set<string>();
  readonly #pending = new Map<number, Pending>();
  #queue: Queued[] = [];
  #queuedBytes = 0;
  #flushing: Promise<void> | null = null;
  #worker: Worker | null = null;
  #opening: Promise<Span[]> | null = null;
  #nextId = 1;

  constructor(options: { dir: string; partitions: number; clock: Clock; logger: Logger }) {
    this.dir = options.dir;
    this.#partitions = options.partitions;
    this.#clock = options.clock;
    this.#logger = options.logger;
  }

  async hold(holder: string): Promise<Span[]> {
    this.#opening ??= this.#open();
    try {
      const spans = await this.#opening;
      this.#holders.add(holder);
      return spans;
    } catch (error) {
      this.#opening = null;
      throw error;
    }
  }

  async release(holder: string): Promise<void> {
    if (!this.#holders.delete(holder) || this.#holders.size > 0) return;
    while (this.#flushing !== null) await this.#flushing;
    const worker = this.#worker;
    if (worker === null) return;
    await this.call('close', null);
    await this.#end(worker);
    this.#logger.info({ dir: this.dir }, 'log.file.closed');
  }

  async #end(worker: Worker): Promise<void> {
    this.#worker = null;
    this.#opening = null;
    await worker.terminate();
  }

  async #open(): Promise<Span[]> {
    await mkdir(this.dir, { recursive: true });
    const worker = new Worker(new URL('./worker.ts', import.meta.url), {
      execArgv: ['--disable-warning=ExperimentalWarning'],
    });
    this.#worker = worker;
    worker.on('message', (reply: Reply) => this.#settle(reply));
    worker.on('error', (error) => this.#lost(worker, error.message));
    worker.on('exit', () => this.#lost(worker, 'its thread ended'));
    const path = join(this.dir, 'log.sqlite');
    const opened = await this.call('open', { path, partitions: this.#partitions }).catch(async (error) => {
      await this.#end(worker);
      throw error;
    });
    if ('locked' in opened) {
      await this.#end(worker);
      throw new FileError('locked', `the data directory ${this.dir} is in use: ${opened.locked}`);
    }
    const partitions = new Set(opened.spans.map((span) => span.partition)).size;
    if (partitions !== this.#partitions) {
      this.#logger.warn({ wanted: this.#partitions, kept: partitions }, 'log.partitions.kept');
    }
    this.#logger.info({ dir: this.dir, partitions }, 'log.file.opened');
    return opened.spans;
  }

  call<K extends keyof Calls>(call: K, ask: Calls[K]['ask']): Promise<Calls[K]['answer']> {
    const worker = this.#worker;
    if (worker === null) return Promise.reject(new FileError('closed', 'the log is not open'));
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve, reject });
      worker.postMessage({ id, call, ask });
    });
  }

  /** Resolves when the edit is on disk. Edits are applied in the order of the calls. */
  edit(edit: Edit): Promise<EditResult> {
    if (this.#worker === null) return Promise.reject(new FileError('closed', 'the log is not open'));
    const sizeBytes = 'packed' in edit ? edit.packed.bytes.byteLength : 0;
    if (this.#queuedBytes + sizeBytes > MAX_QUEUED_BYTES) {
      return Promise.reject(new FileError('unavailable', 'the disk does not keep up: too much waits for it'));
    }
    this.#queuedBytes += sizeBytes;
    return new Promise((resolve, reject) => {
      this.#queue.push({ edit, sizeBytes, resolve, reject });
      this.#flushing ??= this.#flush();
    });
  }

  async #flush(): Promise<void> {
    // What else is called in this turn of the event loop joins the transaction.
    await new Promise(setImmediate);
    while (this.#queue.length > 0) {
      const group = this.#takeGroup();
      try {
        const edits = group.map(({ edit }) => edit);
        const results = await this.call('apply', { atMs: this.#clock.nowMs(), edits });
        results.forEach((result, i) => {
          group[i]?.resolve(result);
        });
      } catch (error) {
        const failure = error instanceof Error ? error : new Error(String(error));
        for (const { reject } of group) reject(failure);
      }
    }
    this.#flushing = null;
  }

  #takeGroup(): Queued[] {
    let bytes = 0;
    let count = 0;
    for (const { sizeBytes } of this.#queue) {
      if (count > 0 && bytes + sizeBytes > MAX_TRANSACTION_BYTES) break;
      bytes += sizeBytes;
      count += 1;
    }
    this.#queuedBytes -= bytes;
    return this.#queue.splice(0, count);
  }

  #settle(reply: Reply): void {
    const pending = this.#pending.get(reply.id);
    this.#pending.delete(reply.id);
    if ('error' in reply) pending?.reject(new FileError('unavailable', reply.error));
    else pending?.resolve(reply.answer);
  }

  #lost(worker: Worker, reason: string): void {
    if (this.#worker === worker) {
      this.#worker = null;
      this.#logger.error({ dir: this.dir, reason }, 'log.file.lost');
    }
    for (const { reject } of this.#pending.values()) {
      reject(new FileError('unavailable', `the log file is lost: ${reason}`));
    }
    this.#pending.clear();
  }
}
