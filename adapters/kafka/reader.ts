import type { Cluster } from 'kafkajs';
import { createCluster, type KafkaOptions } from './client.ts';
import { type AbortedTransaction, type FetchedMessage, visible } from './visible.ts';

export type Place = { topic: string; partition: number; offset: number };
export type Partition = { topic: string; partition: number };

export type Fetched = {
  topic: string;
  partition: number;
  fromOffset: number;
  messages: FetchedMessage[];
  /** Where to go on; past `fromOffset` also when everything between was a marker, aborted or compacted away. */
  nextOffset: number;
  /** Everything before it is decided: committed or aborted. */
  stableOffset: number;
  highWatermark: number;
  sizeBytes: number;
};

type FetchAnswer = {
  responses: {
    topicName: string;
    partitions: {
      partition: number;
      highWatermark: string;
      lastStableOffset: string;
      abortedTransactions?: AbortedTransaction[] | null;
      messages: FetchedMessage[];
    }[];
  }[];
};

const READ_COMMITTED = 1;
const MAX_PARTITION_BYTES = 1024 * 1024;
const MAX_FETCH_BYTES = 4 * 1024 * 1024;

/*
 * Reads partitions at given offsets, committed records only, without being in a group. It keeps no positions; after any
 * error it connects anew, since the library's connection may not recover by itself.
 */
export class Reader {
  readonly #options: KafkaOptions;
  readonly #topics: readonly string[];
  #connecting: Promise<Cluster> | null = null;

  constructor(options: KafkaOptions, topics: readonly string[]) {
    this.#options = options;
    this.#topics = topics;
  }

  async #cluster(): Promise<Cluster> {
    this.#connecting ??= this.#connect();
    return this.#connecting;
  }

  async #connect(): Promise<Cluster> {
    const cluster = createCluster(this.#options);
    await cluster.connect();
    await cluster.addMultipleTargetTopics([...this.#topics]);
    return cluster;
  }

  /** Throws the connection away; the next call makes a new one. */
  async reset(): Promise<void> {
    const connecting = this.#connecting;
    this.#connecting = null;
    const cluster = await connecting?.catch(() => null);
    await cluster?.disconnect().catch(() => {});
  }

  async partitions(): Promise<Partition[]> {
    const cluster = await this.#cluster();
    return this.#topics.flatMap((topic) =>
      cluster.findTopicPartitionMetadata(topic).map(({ partitionId }) => ({ topic, partition: partitionId })),
    );
  }

  async byLeader(places: readonly Place[]): Promise<Map<string, Place[]>> {
    const cluster = await this.#cluster();
    await cluster.refreshMetadataIfNecessary();
    const found = new Map<string, Place[]>();
    for (const place of places) {
      for (const leader of Object.keys(cluster.findLeaderForPartitions(place.topic, [place.partition]))) {
        found.set(leader, [...(found.get(leader) ?? []), place]);
      }
    }
    return found;
  }

  /** Waits at the broker for the first record, at most `maxWaitMs`. */
  async fetch(leader: string, places: readonly Place[], maxWaitMs: number): Promise<Fetched[]> {
    const broker = await (await this.#cluster()).findBroker({ nodeId: leader });
    const answer: FetchAnswer = await broker.fetch({
      isolationLevel: READ_COMMITTED,
      maxWaitTime: maxWaitMs,
      minBytes: 1,
      maxBytes: MAX_FETCH_BYTES,
      topics: grouped(places).map(([topic, partitions]) => ({
        topic,
        partitions: partitions.map(({ partition, offset }) => ({
          partition,
          fetchOffset: String(offset),
          maxBytes: places.length === 1 ? MAX_FETCH_BYTES : MAX_PARTITION_BYTES,
        })),
      })),
    });
    return answer.responses.flatMap(({ topicName, partitions }) =>
      partitions.flatMap(({ partition, highWatermark, lastStableOffset, abortedTransactions, messages }) => {
        const asked = places.find((place) => place.topic === topicName && place.partition === partition);
        if (asked === undefined) return [];
        // A broker answers with whole batches: the first may begin before the offset that was asked for.
        const within = messages.filter(({ offset }) => Number(offset) >= asked.offset);
        return [
          {
            topic: topicName,
            partition,
            fromOffset: asked.offset,
            messages: visible(within, abortedTransactions ?? []),
            nextOffset: Math.max(asked.offset, endOf(messages.at(-1))),
            stableOffset: Number(lastStableOffset),
            highWatermark: Number(highWatermark),
            sizeBytes: within.reduce((sum, { value }) => sum + (value?.byteLength ?? 0), 0),
          },
        ];
      }),
    );
  }

  /** The oldest offset that is left, or the next to be written, of each partition. */
  async bounds(end: 'oldest' | 'next', partitions: readonly Partition[]): Promise<Place[]> {
    const cluster = await this.#cluster();
    const asked = grouped(partitions).map(([topic, some]) => ({
      topic,
      partitions: some.map(({ partition }) => ({ partition })),
      fromBeginning: end === 'oldest',
    }));
    return placesOf(await cluster.fetchTopicsOffset(asked));
  }

  /** What the group has committed; -1 where it has not. */
  async committed(groupId: string, partitions: readonly Partition[]): Promise<Place[]> {
    const cluster = await this.#cluster();
    const coordinator = await cluster.findGroupCoordinator({ groupId });
    const topics = grouped(partitions).map(([topic, some]) => ({
      topic,
      partitions: some.map(({ partition }) => ({ partition, offset: '-1' })),
    }));
    return placesOf((await coordinator.offsetFetch({ groupId, topics })).responses);
  }
}

/** Where the batch of it ends: compaction may have taken the batch's last records, and leaves it its last offset. */
function endOf(last: FetchedMessage | undefined): number {
  if (last === undefined) return 0;
  const { firstOffset, lastOffsetDelta } = last.batchContext ?? {
    firstOffset: last.offset,
    lastOffsetDelta: 0,
  };
  return Math.max(Number(last.offset), Number(firstOffset) + lastOffsetDelta) + 1;
}

function grouped<P extends Partition>(partitions: readonly P[]): [string, P[]][] {
  return [...Map.groupBy(partitions, ({ topic }) => topic)];
}

function placesOf(
  answers: readonly { topic: string; partitions: readonly { partition: number; offset: string }[] }[],
): Place[] {
  return answers.flatMap(({ topic, partitions }) =>
    partitions.map(({ partition, offset }) => ({ topic, partition, offset: Number(offset) })),
  );
}
