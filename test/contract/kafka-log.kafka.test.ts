import { randomUUID } from 'node:crypto';
import kafkajs, { Kafka, logLevel } from 'kafkajs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openKafka } from '../../adapters/kafka/open.ts';
import { TOPICS } from '../../core/ports/log.ts';
import { TABLES } from '../../core/ports/table.ts';
import { type KafkaPart, startKafka } from '../parts/kafka.ts';
import { until } from '../parts/process.ts';
import { logContract } from './log.contract.ts';
import { nextBatch, readAll, record, records, subscribe, textOf } from './log-world.ts';
import { silentLogger } from './silent-logger.ts';

const { TOPIC } = kafkajs.ConfigResourceTypes;

let kafka: KafkaPart;

beforeAll(async () => {
  kafka = await startKafka();
});
afterAll(async () => {
  await kafka?.stop();
});

const options = { partitions: 4, replicationFactor: 1, retentionMs: 3_600_000, logger: silentLogger };

function admin() {
  return new Kafka({ brokers: kafka.brokers, logLevel: logLevel.NOTHING }).admin();
}

/** A log of its own on the file's broker. */
async function open() {
  const prefix = randomUUID();
  const { log } = openKafka({ ...options, brokers: kafka.brokers, prefix });
  await log.start();
  return { log, prefix };
}

type Settings = { stamps?: string; cleanup?: string; retention?: string };

async function settings(client: ReturnType<typeof admin>, prefix: string): Promise<Record<string, Settings>> {
  const names = [...TOPICS, ...TABLES];
  const { resources } = await client.describeConfigs({
    includeSynonyms: false,
    resources: names.map((name) => ({ type: TOPIC, name: `${prefix}.${name}` })),
  });
  const found: Record<string, Settings> = {};
  for (const { resourceName, configEntries } of resources) {
    const entryOf = (name: string) =>
      configEntries.find(({ configName }) => configName === name)?.configValue ?? '';
    found[resourceName.slice(prefix.length + 1)] = {
      stamps: entryOf('message.timestamp.type'),
      cleanup: entryOf('cleanup.policy'),
      retention: entryOf('retention.ms'),
    };
  }
  return found;
}

async function expire(topic: string): Promise<void> {
  const client = admin();
  await client.connect();
  try {
    const ends = await client.fetchTopicOffsets(topic);
    const partitions = ends.map(({ partition, high }) => ({ partition, offset: high }));
    await client.deleteTopicRecords({ topic, partitions });
  } finally {
    await client.disconnect();
  }
}

logContract('Kafka', async () => {
  const { log, prefix } = await open();
  return {
    log,
    partitions: options.partitions,
    keepsUnread: false,
    expire: () => expire(`${prefix}.reports`),
    close: () => log.stop(),
  };
});

describe('Kafka: what only a broker can do', () => {
  test('a broker that is killed and comes back is waited for, and nothing acknowledged is lost', async () => {
    const { log } = await open();
    try {
      const subscription = await subscribe(log);
      await log.append('reports', records(50, 'before'));
      const held = await nextBatch(subscription);
      await kafka.kill();
      expect(await subscription.next().catch((error: unknown) => error)).toBeInstanceOf(Error);
      const committing = subscription.commit(held);
      const appending = log.append('reports', records(50, 'after')).then(
        () => 'stored',
        () => 'unknown',
      );
      await kafka.restart();
      const committed = (await committing).ok ? held.records.map(textOf) : [];
      if ((await appending) === 'unknown') await log.append('reports', records(50, 'after'));
      const wanted = [...records(50, 'before'), ...records(50, 'after')].map(textOf);
      const read = await readAll(subscription, 100, (some) => {
        const seen = new Set([...committed, ...some.map(textOf)]);
        return wanted.every((text) => seen.has(text));
      });
      expect(read.length).toBeGreaterThan(0);
    } finally {
      await log.stop();
    }
  });

  test('while the broker is away a waiting subscription gets null, and records once it is back', async () => {
    const { log } = await open();
    try {
      const subscription = await subscribe(log);
      await log.append('reports', [record('a', '0')]);
      await readAll(subscription, 1);
      await kafka.kill();
      for (let i = 0; i < 3; i++) expect(await subscription.next()).toBeNull();
      await kafka.restart();
      await log.append('reports', [record('a', '1')]);
      expect((await readAll(subscription, 1)).map(textOf)).toEqual(['1']);
    } finally {
      await log.stop();
    }
  });

  test('topics have append time by the broker and retention by the options, also after someone changed them', async () => {
    const { log, prefix } = await open();
    const client = admin();
    await client.connect();
    try {
      const altered = [{ name: 'retention.ms', value: '1' }];
      await client.alterConfigs({
        validateOnly: false,
        resources: [{ type: TOPIC, name: `${prefix}.reports`, configEntries: altered }],
      });
      // A setting is not known everywhere at once.
      await until(
        'the change is seen',
        async () => (await settings(client, prefix)).reports?.retention === '1',
      );
      const again = openKafka({ ...options, brokers: kafka.brokers, prefix });
      await Promise.all([again.log.start(), again.table.start()]);
      await Promise.all([again.log.stop(), again.table.stop()]);
      const kept = { stamps: 'LogAppendTime', cleanup: 'delete', retention: '3600000' };
      const compacted = { stamps: 'LogAppendTime', cleanup: 'compact' };
      await until(
        'it is set back',
        async () => (await settings(client, prefix)).reports?.retention === '3600000',
      );
      expect(await settings(client, prefix)).toMatchObject({
        reports: kept,
        backfill: kept,
        commands: { ...kept, retention: String(7 * 24 * 3_600_000) },
        resources: compacted,
        state: compacted,
      });
    } finally {
      await client.disconnect();
      await log.stop();
    }
  });

  test('a subscription that is closed while it joins does not stay in the group', async () => {
    const { log } = await open();
    try {
      await (await subscribe(log)).close();
      // Somewhere on the way into the group, which takes some hundred milliseconds.
      for (let afterMs = 0; afterMs <= 200; afterMs += 20) {
        const hasty = await subscribe(log);
        await new Promise((resolve) => setTimeout(resolve, afterMs));
        await hasty.close();
      }
      const subscription = await subscribe(log);
      await log.append('reports', records(40));
      expect(await readAll(subscription, 40)).toHaveLength(40);
    } finally {
      await log.stop();
    }
  });

  test('starting where no broker is says so', async () => {
    const { log } = openKafka({ ...options, brokers: ['127.0.0.1:1'], prefix: 'nobody' });
    await expect(log.start()).rejects.toMatchObject({ code: 'unavailable' });
  });
});
