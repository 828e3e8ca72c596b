import type { Consumer } from 'kafkajs';
import { alikeAssigner } from './assigner.ts';
import { createClient, type KafkaOptions, RETRY } from './client.ts';
import { messageOf } from './failure.ts';
import { pause } from './pause.ts';
import type { Partition, Place } from './reader.ts';

const SESSION_TIMEOUT_MS = 10_000;
const HEARTBEAT_MS = 1_000;
/** How often the consumer, which fetches nothing, looks whether a heartbeat is due or it shall stop. */
const TURN_MS = 200;
/** Keeps its place in the group while a broker restarts: some thirty seconds of trying. */
const RETRIES = 20;
/** Longer than the client's own retries and a session together: then it does not recover by itself. */
const STALLED_MS = 45_000;
/** How long one that ends is waited for; it goes on leaving by itself after that. */
const LEAVING_MS = 15_000;
const RECREATE_MS = [100, 500, 2_000, 5_000] as const;

export type Assignment = { memberId: string; partitions: readonly Partition[] };

type MembershipOptions = {
  kafka: KafkaOptions;
  group: string;
  topics: readonly string[];
  /** Called with what the group gave this member, and with null when it is no longer in the group. */
  onAssigned: (assignment: Assignment | null) => void;
};

/*
 * Being in a group, and nothing else: which partitions are ours, and committing positions. Everything is paused, so the
 * library's consumer fetches no records; it joins, heartbeats and joins again. When it crashes or its heartbeats stop it is
 * replaced, since it may not recover (its issues 659, 1277, 1513, 1630).
 */
export class Membership {
  readonly #options: MembershipOptions;
  readonly #stopping = new AbortController();
  #consumer: Consumer | null = null;
  #running: Promise<void> | null = null;
  #endTurn: (reason: string) => void = () => {};
  #lastSignMs = 0;
  #commits = 0;

  constructor(options: MembershipOptions) {
    this.#options = options;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#endTurn('closed');
    await this.#running;
  }

  /** Rejects when the group has moved on, or the broker is away. */
  async commit(places: readonly Place[]): Promise<void> {
    const consumer = this.#consumer;
    if (consumer === null) throw new Error('not in the group now');
    const before = this.#commits;
    await consumer.commitOffsets(
      places.map(({ topic, partition, offset }) => ({ topic, partition, offset: String(offset) })),
    );
    // A consumer that was stopped meanwhile resolves without having committed.
    if (this.#commits === before) throw new Error('stopped before it committed');
  }

  async #run(): Promise<void> {
    const { kafka, group, onAssigned } = this.#options;
    const { signal } = this.#stopping;
    for (let failures = 0; !signal.aborted; ) {
      const startedMs = performance.now();
      const reason = await this.#turn();
      onAssigned(null);
      if (signal.aborted) return;
      failures = performance.now() - startedMs > STALLED_MS ? 0 : failures + 1;
      kafka.logger.warn({ group, reason }, 'kafka.group.recreated');
      await pause(RECREATE_MS[Math.min(failures, RECREATE_MS.length) - 1] ?? RECREATE_MS[0], signal);
    }
  }

  /** The life of one consumer. Gives why it ended. */
  async #turn(): Promise<string> {
    const consumer = this.#createConsumer();
    const ended = new Promise<string>((resolve) => {
      this.#endTurn = resolve;
    });
    this.#lastSignMs = performance.now();
    const watch = setInterval(() => {
      if (performance.now() - this.#lastSignMs > STALLED_MS) this.#endTurn('stalled');
    }, STALLED_MS / 6);
    this.#consumer = consumer;
    const following = this.#follow(consumer).catch((error: unknown) => this.#endTurn(messageOf(error)));
    const reason = this.#stopping.signal.aborted ? 'closed' : await ended;
    clearInterval(watch);
    this.#consumer = null;
    // The library does not stop what is still joining: it would join then, and stay, with partitions that nobody reads.
    const leaving = following.then(() => consumer.disconnect()).catch(() => {});
    const patience = new AbortController();
    await Promise.race([leaving, pause(LEAVING_MS, patience.signal)]);
    patience.abort();
    return reason;
  }

  #createConsumer(): Consumer {
    const { kafka, group } = this.#options;
    return createClient(kafka).consumer({
      groupId: group,
      allowAutoTopicCreation: false,
      partitionAssigners: [alikeAssigner],
      sessionTimeout: SESSION_TIMEOUT_MS,
      rebalanceTimeout: SESSION_TIMEOUT_MS,
      heartbeatInterval: HEARTBEAT_MS,
      maxWaitTimeInMs: TURN_MS,
      // A crash ends the turn: one way to begin again, and it is ours.
      retry: { ...RETRY, retries: RETRIES, restartOnFailure: async () => false },
    });
  }

  async #follow(consumer: Consumer): Promise<void> {
    const { topics, onAssigned } = this.#options;
    const alive = () => {
      this.#lastSignMs = performance.now();
    };
    consumer.on(consumer.events.HEARTBEAT, alive);
    consumer.on(consumer.events.COMMIT_OFFSETS, () => {
      this.#commits += 1;
    });
    consumer.on(consumer.events.CRASH, ({ payload }) => this.#endTurn(payload.error.message));
    consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
      alive();
      if (this.#consumer !== consumer) return;
      consumer.pause(topics.map((topic) => ({ topic })));
      const partitions = Object.entries(payload.memberAssignment).flatMap(([topic, some]) =>
        some.map((partition) => ({ topic, partition })),
      );
      onAssigned({ memberId: payload.memberId, partitions });
    });
    await consumer.connect();
    if (this.#consumer !== consumer) return;
    await consumer.subscribe({ topics: [...topics], fromBeginning: true });
    if (this.#consumer !== consumer) return;
    await consumer.run({ autoCommit: false, eachBatchAutoResolve: false, eachBatch: async () => {} });
  }
}
