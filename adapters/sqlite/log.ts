import type { Clock } from '../../core/ports/clock.ts';
import {
  type Log,
  LogError,
  MAX_RECORD_BYTES,
  type NewRecord,
  type SubscribeOptions,
  type Subscription,
  type TopicName,
} from '../../core/ports/log.ts';
import type { Logger } from '../../core/ports/logger.ts';
import { inLogWords, type LogFile } from './file.ts';
import { Group } from './group.ts';
import { Heads } from './heads.ts';
import { pack } from './packed.ts';
import { partitionOf } from './partition.ts';
import type { RetentionRule } from './protocol.ts';
import { SqliteSubscription } from './subscription.ts';

const HOLDER = 'log';
const COMMANDS_KEEP_MS = 7 * 24 * 3_600_000;
const RETAIN_STEP_RECORDS = 2_000;
/** Appends may go this much over the bound on bytes before they see to room themselves, so that not each of them has to. */
const SLACK = 1.05;

type Options = { file: LogFile; retentionMs: number; retentionBytes: number; clock: Clock; logger: Logger };

export class SqliteLog implements Log {
  readonly #options: Options;
  readonly #file: LogFile;
  readonly #heads = new Heads();
  readonly #groups = new Map<string, Promise<Group>>();
  readonly #subscriptions = new Set<SqliteSubscription>();
  /** What reports and backfill hold together, and what is on its way there. */
  #storedBytes = 0;
  #comingBytes = 0;
  #makingRoom: Promise<void> | null = null;
  #state: 'new' | 'started' | 'stopped' = 'new';

  constructor(options: Options) {
    this.#options = options;
    this.#file = options.file;
  }

  async start(): Promise<void> {
    if (this.#state === 'started') return;
    const spans = await inLogWords(this.#file.hold(HOLDER));
    this.#heads.reset(spans);
    this.#storedBytes = spans.reduce((sum, { topic, bytes }) => sum + (isBounded(topic) ? bytes : 0), 0);
    this.#state = 'started';
  }

  async append(topic: TopicName, records: readonly NewRecord[]): Promise<void> {
    this.#mustBeStarted();
    for (const { key, value } of records) {
      if (value.byteLength > MAX_RECORD_BYTES) {
        const limit = `${value.byteLength} bytes for ${key}, at most ${MAX_RECORD_BYTES} are taken`;
        throw new LogError('too-large', limit);
      }
    }
    if (records.length === 0) return;
    const count = this.#heads.partitionsOf(topic);
    const partitions = records.map(({ key }) => partitionOf(key, count));
    const sizeBytes = isBounded(topic) ? records.reduce((sum, { value }) => sum + value.byteLength, 0) : 0;
    if (sizeBytes > 0 && !this.#hasRoom(sizeBytes)) await this.#makeRoom(sizeBytes);
    this.#comingBytes += sizeBytes;
    try {
      const result = await inLogWords(
        this.#file.edit({ kind: 'append', topic, partitions, packed: pack(records) }),
      );
      this.#storedBytes += sizeBytes;
      if (result.kind === 'appended') this.#heads.appended(result.heads);
    } finally {
      this.#comingBytes -= sizeBytes;
    }
  }

  #hasRoom(sizeBytes: number): boolean {
    // Who waits for room goes first: the order of the calls is the order of the log.
    if (this.#makingRoom !== null) return false;
    return this.#storedBytes + this.#comingBytes + sizeBytes <= this.#options.retentionBytes * SLACK;
  }

  async #makeRoom(sizeBytes: number): Promise<void> {
    this.#makingRoom ??= this.retain().finally(() => {
      this.#makingRoom = null;
    });
    await this.#makingRoom;
    const { retentionBytes } = this.#options;
    if (this.#storedBytes + this.#comingBytes + sizeBytes <= retentionBytes * SLACK) return;
    const bound = `the log may hold ${retentionBytes} bytes of reports, and what it holds is not read yet`;
    throw new LogError('unavailable', bound);
  }

  async subscribe(options: SubscribeOptions): Promise<Subscription> {
    this.#mustBeStarted();
    const group = await this.#group(options.group);
    // From now on retention waits for this group.
    const places = group.unknown(options.topics);
    if (places.length > 0) await inLogWords(this.#file.edit({ kind: 'commit', group: group.name, places }));
    const subscription: SqliteSubscription = new SqliteSubscription(
      options,
      { file: this.#file, heads: this.#heads, group },
      () => this.#subscriptions.delete(subscription),
    );
    this.#subscriptions.add(subscription);
    return subscription;
  }

  #group(name: string): Promise<Group> {
    const known = this.#groups.get(name);
    if (known !== undefined) return known;
    const loading = inLogWords(this.#file.call('positions', { group: name })).then(
      (positions) => new Group(name, this.#heads, positions),
    );
    this.#groups.set(name, loading);
    loading.catch(() => this.#groups.delete(name));
    return loading;
  }

  async retain(): Promise<void> {
    this.#mustBeStarted();
    const { clock, retentionMs, retentionBytes, logger } = this.#options;
    const rules: RetentionRule[] = [
      { topic: 'reports', keepMs: retentionMs, countsBytes: isBounded('reports') },
      { topic: 'backfill', keepMs: retentionMs, countsBytes: isBounded('backfill') },
      { topic: 'commands', keepMs: COMMANDS_KEEP_MS, countsBytes: isBounded('commands') },
    ];
    let removed = 0;
    for (;;) {
      const step = await inLogWords(
        this.#file.call('retain', {
          nowMs: clock.nowMs(),
          rules,
          maxBytes: retentionBytes,
          maxRecords: RETAIN_STEP_RECORDS,
        }),
      );
      this.#heads.removed(step.lows);
      this.#storedBytes = step.heldBytes;
      removed += step.removed;
      if (step.removed < RETAIN_STEP_RECORDS) break;
    }
    if (removed > 0) logger.info({ removed }, 'log.retained');
  }

  async stop(): Promise<void> {
    if (this.#state !== 'started') return;
    this.#state = 'stopped';
    for (const subscription of [...this.#subscriptions]) await subscription.close();
    this.#groups.clear();
    await this.#file.release(HOLDER);
  }

  #mustBeStarted(): void {
    if (this.#state !== 'started') throw new LogError('closed', `the log is ${this.#state}`);
  }
}

/** Commands are few, and have to get through when there is no room for reports. */
const isBounded = (topic: TopicName): boolean => topic !== 'commands';
