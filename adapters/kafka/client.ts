import { type Cluster, Kafka, logLevel, type RetryOptions } from 'kafkajs';
import type { Logger } from '../../core/ports/logger.ts';

export type KafkaOptions = { brokers: readonly string[]; prefix: string; logger: Logger };

/** Some eight seconds in all: a broker that restarts is waited for, one that is gone is said to be. */
export const RETRY: RetryOptions = {
  retries: 8,
  initialRetryTime: 150,
  multiplier: 1.6,
  maxRetryTime: 2_000,
};

/**
 * A client of its own for each use: consumers of one client share their committed offsets by group, and a client that
 * does not recover is thrown away without harm to the others.
 */
export function createClient({ brokers, prefix, logger }: KafkaOptions, retry: RetryOptions = {}): Kafka {
  return new Kafka({
    clientId: prefix,
    brokers: [...brokers],
    connectionTimeout: 3_000,
    requestTimeout: 15_000,
    retry: { ...RETRY, ...retry },
    logLevel: logLevel.WARN,
    logCreator: () => (entry) => {
      const { message, error, retryCount } = entry.log;
      logger.debug({ label: entry.label, part: entry.namespace, message, error, retryCount }, 'kafka.client');
    },
  });
}

/**
 * The library's own connection to the brokers, which it hands to partition assigners only. With it one can read a partition
 * without being in a group, which the library offers no other way to do (its issues 373 and 853).
 */
export function createCluster(options: KafkaOptions): Cluster {
  const found: Cluster[] = [];
  createClient(options, { retries: 2, maxRetryTime: 500 }).consumer({
    groupId: `${options.prefix}.unused`,
    allowAutoTopicCreation: false,
    partitionAssigners: [
      ({ cluster }) => {
        found.push(cluster);
        return {
          name: 'unused',
          version: 0,
          assign: async () => [],
          protocol: () => ({ name: 'unused', metadata: Buffer.alloc(0) }),
        };
      },
    ],
  });
  const [cluster] = found;
  if (cluster === undefined) throw new Error('the client library gave its assigner no cluster');
  return cluster;
}
