import { type Message, Partitioners, type Producer, type Transaction } from 'kafkajs';
import { type TableEntry, TableError, type TableName, type TableOwner } from '../../core/ports/table.ts';
import { createClient, type KafkaOptions } from './client.ts';
import { failureTypes, isFenced, isTooLarge, messageOf } from './failure.ts';
import { asBuffer, cut } from './sender.ts';
import { topicName } from './topics.ts';

/** A transaction that is not ended by then is aborted by the broker; until then it holds up readers. */
const TRANSACTION_TIMEOUT_MS = 20_000;

/**
 * What a broker answers to the end of a transaction that it is aborting already, for a newer owner or because its time was
 * up; the second in the state PrepareEpochFence, which it holds impossible. Before its time can be up it is a newer owner.
 */
const ENDED_BY_OTHER = ['CONCURRENT_TRANSACTIONS', 'UNKNOWN'];

/*
 * The one that may write. The role's name is the transactional id: beginning with it makes every earlier producer of that
 * id powerless and aborts what it had under way. After any failure this owner is used up: a new producer of the same id
 * would fence a successor, so going on is for the role to decide, by another `claim`.
 */
export class KafkaOwner implements TableOwner {
  readonly role: string;
  readonly #kafka: KafkaOptions;
  readonly #producer: Producer;
  #last: Promise<unknown> = Promise.resolve();
  #over: TableError | null = null;

  private constructor(role: string, kafka: KafkaOptions, producer: Producer) {
    this.role = role;
    this.#kafka = kafka;
    this.#producer = producer;
  }

  static async claim(role: string, kafka: KafkaOptions): Promise<KafkaOwner> {
    // The broker asks to come again while it still ends the last transaction: soon, then less and less often.
    const producer = createClient(kafka, { initialRetryTime: 5, retries: 18 }).producer({
      createPartitioner: Partitioners.DefaultPartitioner,
      allowAutoTopicCreation: false,
      transactionalId: topicName(kafka.prefix, `owner.${role}`),
      transactionTimeout: TRANSACTION_TIMEOUT_MS,
      idempotent: true,
      maxInFlightRequests: 1,
    });
    try {
      await producer.connect();
      // The library introduces itself to the broker with the first transaction only.
      await (await producer.transaction()).abort();
      return new KafkaOwner(role, kafka, producer);
    } catch (error) {
      await producer.disconnect().catch(() => {});
      throw new TableError('unavailable', `the role ${role} cannot be claimed: ${messageOf(error)}`);
    }
  }

  write(table: TableName, entries: readonly TableEntry[]): Promise<void> {
    const turn = this.#last.then(() => this.#write(table, entries));
    this.#last = turn.catch(() => {});
    return turn;
  }

  async release(): Promise<void> {
    this.#over ??= new TableError('closed', `the role ${this.role} was released`);
    await this.#last;
    await this.#producer.disconnect().catch(() => {});
  }

  async #write(table: TableName, entries: readonly TableEntry[]): Promise<void> {
    if (this.#over !== null) throw this.#over;
    if (entries.length === 0) return;
    const topic = topicName(this.#kafka.prefix, table);
    const messages: Message[] = entries.map(({ key, value }) => ({
      key,
      value: value === null ? null : asBuffer(value),
      partition: 0,
    }));
    const beganMs = performance.now();
    let isEnding = false;
    let transaction: Transaction | null = null;
    try {
      transaction = await this.#producer.transaction();
      for (const piece of cut(messages)) {
        await transaction.send({ topic, messages: piece.messages, acks: -1 });
      }
      isEnding = true;
      await transaction.commit();
    } catch (error) {
      this.#over = this.#wordsFor(error, isEnding && performance.now() - beganMs < TRANSACTION_TIMEOUT_MS);
      // What is left open would hold up readers until it times out.
      if (transaction?.isActive() === true) await transaction.abort().catch(() => {});
      await this.#producer.disconnect().catch(() => {});
      throw this.#over;
    }
  }

  #wordsFor(error: unknown, isEndingInTime: boolean): TableError {
    const isEndedByOther =
      isEndingInTime && failureTypes(error).some((type) => ENDED_BY_OTHER.includes(type));
    if (isEndedByOther || isFenced(error))
      return new TableError('fenced', `the role ${this.role} has a newer owner`);
    if (isTooLarge(error)) return new TableError('too-large', messageOf(error));
    return new TableError('unavailable', messageOf(error));
  }
}
