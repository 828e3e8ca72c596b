import { type Message, Partitioners, type Producer } from 'kafkajs';
import { createClient, type KafkaOptions } from './client.ts';
import { isTooLarge, messageOf } from './failure.ts';

export class SendError extends Error {
  readonly code: 'too-large' | 'unavailable' | 'closed';
  constructor(code: 'too-large' | 'unavailable' | 'closed', message: string) {
    super(message);
    this.name = 'SendError';
    this.code = code;
  }
}

/** What one request may carry: the client library makes one batch a partition of it, and a batch is at most 1 MiB. */
const MAX_SEND_BYTES = 900_000;
const MAX_QUEUED_BYTES = 64 * 1024 * 1024;
const RECORD_OVERHEAD_BYTES = 100;

type Piece = {
  topic: string;
  messages: Message[];
  sizeBytes: number;
  resolve: () => void;
  reject: (error: Error) => void;
};

/*
 * Sends, one request at a time so that the order of the calls is the order of the log; what is called for meanwhile goes
 * together in the next request. All in-sync replicas acknowledge.
 */
export class Sender {
  readonly #kafka: KafkaOptions;
  #queue: Piece[] = [];
  #queuedBytes = 0;
  #sending: Promise<void> | null = null;
  #producer: Producer | null = null;
  #closed = false;

  constructor(kafka: KafkaOptions) {
    this.#kafka = kafka;
  }

  async send(topic: string, messages: readonly Message[]): Promise<void> {
    if (this.#closed) throw new SendError('closed', 'the log is stopped');
    const pieces = cut(messages);
    const sizeBytes = pieces.reduce((sum, piece) => sum + piece.sizeBytes, 0);
    if (this.#queuedBytes + sizeBytes > MAX_QUEUED_BYTES) {
      throw new SendError('unavailable', 'the brokers do not keep up: too much waits for them');
    }
    this.#queuedBytes += sizeBytes;
    await Promise.all(
      pieces.map(
        (piece) =>
          new Promise<void>((resolve, reject) => {
            this.#queue.push({ topic, ...piece, resolve, reject });
            this.#sending ??= this.#drain();
          }),
      ),
    );
  }

  /** Sends what is queued, then lets go of the connection. */
  async close(): Promise<void> {
    this.#closed = true;
    while (this.#sending !== null) await this.#sending;
    await this.#drop();
  }

  async #drain(): Promise<void> {
    await new Promise(setImmediate);
    while (this.#queue.length > 0) {
      const group = this.#takeGroup();
      try {
        const producer = await this.#connected();
        const topicMessages = group.map(({ topic, messages }) => ({ topic, messages }));
        await producer.sendBatch({ acks: -1, topicMessages });
        for (const { resolve } of group) resolve();
      } catch (error) {
        await this.#drop();
        const code = isTooLarge(error) ? 'too-large' : 'unavailable';
        for (const { reject } of group) reject(new SendError(code, messageOf(error)));
      }
    }
    this.#sending = null;
  }

  #takeGroup(): Piece[] {
    let bytes = 0;
    let count = 0;
    for (const { sizeBytes } of this.#queue) {
      if (count > 0 && bytes + sizeBytes > MAX_SEND_BYTES) break;
      bytes += sizeBytes;
      count += 1;
    }
    this.#queuedBytes -= bytes;
    return this.#queue.splice(0, count);
  }

  async #connected(): Promise<Producer> {
    if (this.#producer !== null) return this.#producer;
    const producer = createClient(this.#kafka).producer({
      createPartitioner: Partitioners.DefaultPartitioner,
      allowAutoTopicCreation: false,
      // A request that is tried again because one partition failed is not stored twice by the others.
      idempotent: true,
      maxInFlightRequests: 1,
    });
    await producer.connect();
    this.#producer = producer;
    return producer;
  }

  /** After an error the next request has a new producer: this one may not recover. */
  async #drop(): Promise<void> {
    const producer = this.#producer;
    this.#producer = null;
    await producer?.disconnect().catch(() => {});
  }
}

/** In order, into pieces that fit a request. */
export function cut(messages: readonly Message[]): { messages: Message[]; sizeBytes: number }[] {
  const pieces: { messages: Message[]; sizeBytes: number }[] = [];
  for (const message of messages) {
    const size = RECORD_OVERHEAD_BYTES + (message.value?.length ?? 0) + (message.key?.length ?? 0);
    const last = pieces.at(-1);
    if (last !== undefined && last.sizeBytes + size <= MAX_SEND_BYTES) {
      last.messages.push(message);
      last.sizeBytes += size;
    } else {
      pieces.push({ messages: [message], sizeBytes: size });
    }
  }
  return pieces;
}

/** The library takes buffers only. No copy. */
export const asBuffer = (value: Uint8Array): Buffer =>
  Buffer.from(value.buffer, value.byteOffset, value.byteLength);
