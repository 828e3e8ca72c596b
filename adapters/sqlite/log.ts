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

type Options = { file: LogFile; retentionMs: number; retentionBytes: number; clock: Clock; logger: Logger };

export class SqliteLog implements Log {
  readonly #options: Options;
  readonly #file: LogFile;
  readonly #heads = new Heads();
  readonly #groups = new Map<string, Promise<Group>>();
  readonly #subscriptions = new Set<SqliteSubscription>();
  #state: 'new' | 'started' | 'stopped' = 'new';

  constructor(options: Options) {
    this.#options = options;
    this.#file = options.file;
  }

  async start(): Promise<void> {
    if (this.#state === 'started') return;
    this.#heads.reset(await inLogWords(this.#file.hold(HOLDER)));
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
    const result = await inLogWords(
      this.#file.edit({ kind: 'append', topic, partitions, packed: pack(records) }),
    );
    if (result.kind === 'appended') this.#heads.appended(result.heads);
  }

  async subscribe(options: SubscribeOptions): Promise<Subscription> {
    this.#mustBeStarted();
    const group = await this.#group(options.group);
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
      { topic: 'reports', keepMs: retentionMs, countsBytes: true },
      { topic: 'backfill', keepMs: retentionMs, countsBytes: true },
      { topic: 'commands', keepMs: COMMANDS_KEEP_MS, countsBytes: false },
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
