import { setTimeout } from 'node:timers/promises';
import kafkajs, { type Admin, type ITopicConfig } from 'kafkajs';
import { TOPICS, type TopicName } from '../../core/ports/log.ts';
import { TABLES } from '../../core/ports/table.ts';
import { createClient, type KafkaOptions } from './client.ts';
import { failureTypes } from './failure.ts';

// Not among the names that Node finds in the library's exports.
const { TOPIC } = kafkajs.ConfigResourceTypes;

const PATIENCE_MS = 15_000;
const AGAIN_MS = 250;
const TOO_EARLY = ['UNKNOWN_TOPIC_OR_PARTITION', 'LEADER_NOT_AVAILABLE'];

const COMMANDS_KEEP_MS = 7 * 24 * 3_600_000;

export type TopicSettings = { partitions: number; replicationFactor: number; retentionMs: number };

export const topicName = (prefix: string, name: string): string => `${prefix}.${name}`;

/**
 * Makes what is missing, and sets what an operator changed back. Append time is the broker's on every topic: with the
 * sender's, old records from a spool would be removed by retention at once, and a clock that is ahead would be refused.
 */
export async function ensureTopics(options: KafkaOptions, settings: TopicSettings): Promise<void> {
  const giveUpAtMs = performance.now() + PATIENCE_MS;
  for (;;) {
    try {
      return await ensureOnce(options, settings);
    } catch (error) {
      // A topic that was just made is not known everywhere at once.
      const isTooEarly = failureTypes(error).some((type) => TOO_EARLY.includes(type));
      if (!isTooEarly || performance.now() > giveUpAtMs) throw error;
      await setTimeout(AGAIN_MS);
    }
  }
}

async function ensureOnce(options: KafkaOptions, settings: TopicSettings): Promise<void> {
  const admin = createClient(options).admin();
  await admin.connect();
  try {
    const wanted = wantedTopics(options.prefix, settings);
    await admin.createTopics({ topics: wanted, waitForLeaders: true });
    await alignSettings(admin, wanted);
    const { topics } = await admin.fetchTopicMetadata({ topics: wanted.map(({ topic }) => topic) });
    for (const { name: topic, partitions } of topics) {
      const number = wanted.find((want) => want.topic === topic)?.numPartitions;
      if (number !== partitions.length) {
        options.logger.warn({ topic, wanted: number, kept: partitions.length }, 'log.partitions.kept');
      }
    }
  } finally {
    await admin.disconnect();
  }
}

function wantedTopics(prefix: string, settings: TopicSettings): ITopicConfig[] {
  const { partitions, replicationFactor, retentionMs } = settings;
  const common = {
    'message.timestamp.type': 'LogAppendTime',
    'min.insync.replicas': String(Math.max(1, replicationFactor - 1)),
  };
  const keepMs = (topic: TopicName) => (topic === 'commands' ? COMMANDS_KEEP_MS : retentionMs);
  const logs = TOPICS.map((topic) => ({
    topic: topicName(prefix, topic),
    numPartitions: partitions,
    configs: { ...common, 'cleanup.policy': 'delete', 'retention.ms': String(keepMs(topic)) },
  }));
  // One partition: the entries of a table have one order.
  const tables = TABLES.map((table) => ({
    topic: topicName(prefix, table),
    numPartitions: 1,
    configs: { ...common, 'cleanup.policy': 'compact' },
  }));
  return [...logs, ...tables].map(({ topic, numPartitions, configs }) => ({
    topic,
    numPartitions,
    replicationFactor,
    configEntries: Object.entries(configs).map(([name, value]) => ({ name, value })),
  }));
}

async function alignSettings(admin: Admin, wanted: readonly ITopicConfig[]): Promise<void> {
  const { resources } = await admin.describeConfigs({
    includeSynonyms: false,
    resources: wanted.map(({ topic }) => ({ type: TOPIC, name: topic })),
  });
  const differing = wanted.filter(({ topic, configEntries = [] }) => {
    const found = resources.find(({ resourceName }) => resourceName === topic)?.configEntries ?? [];
    return configEntries.some(
      ({ name, value }) => found.find(({ configName }) => configName === name)?.configValue !== value,
    );
  });
  if (differing.length === 0) return;
  await admin.alterConfigs({
    validateOnly: false,
    resources: differing.map(({ topic, configEntries = [] }) => ({
      type: TOPIC,
      name: topic,
      configEntries,
    })),
  });
}
