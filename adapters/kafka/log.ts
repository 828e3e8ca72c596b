import {
  type Log,
  LogError,
  MAX_RECORD_BYTES,
  type NewRecord,
  type SubscribeOptions,
  type Subscription,
  type TopicName,
} from '../../core/ports/log.ts';
import type { KafkaOptions } from './client.ts';
import { messageOf } from './failure.ts';
import { asBuffer, SendError, type Sender } from './sender.ts';
import { KafkaSubscription } from './subscription.ts';
import { topicName } from './topics.ts';

type Options = { kafka: KafkaOptions; sender: Sender; prepare: () => Promise<void> };

export class KafkaLog implements Log {
  readonly #options: Options;
  readonly #subscriptions = new Set<KafkaSubscription>();
  #state: 'new' | 'started' | 'stopped' = 'new';

  constructor(options: Options) {
    this.#options = options;
  }

  async start(): Promise<void> {
    if (this.#state === 'started') return;
    await this.#options.prepare().catch((error: unknown) => {
      throw new LogError('unavailable', `Kafka cannot be reached or set up: ${messageOf(error)}`);
    });
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
    const { kafka, sender } = this.#options;
    const messages = records.map(({ key, value }) => ({ key, value: asBuffer(value) }));
    await sender.send(topicName(kafka.prefix, topic), messages).catch((error: unknown) => {
      throw error instanceof SendError ? new LogError(error.code, error.message) : error;
    });
  }

  async subscribe(options: SubscribeOptions): Promise<Subscription> {
    this.#mustBeStarted();
    const subscription: KafkaSubscription = new KafkaSubscription(this.#options.kafka, options, () =>
      this.#subscriptions.delete(subscription),
    );
    this.#subscriptions.add(subscription);
    subscription.start();
    return subscription;
  }

  /** The brokers do it by themselves, by the topics' settings. */
  async retain(): Promise<void> {
    this.#mustBeStarted();
  }

  async stop(): Promise<void> {
    if (this.#state !== 'started') return;
    this.#state = 'stopped';
    await Promise.all([...this.#subscriptions].map((subscription) => subscription.close()));
    await this.#options.sender.close();
  }

  #mustBeStarted(): void {
    if (this.#state !== 'started') throw new LogError('closed', `the log is ${this.#state}`);
  }
}
