import { randomUUID } from 'node:crypto';
import kafkajs, { Kafka, logLevel } from 'kafkajs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openKafka } from '../../adapters/kafka/open.ts';
import { type KafkaPart, startKafka } from '../parts/kafka.ts';
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

const settings = { partitions: 4, replicationFactor: 1, retentionMs: 3_600_000, logger: silentLogger };

function admin() {
  return new Kafka({ brokers: kafka.brokers, logLevel: logLevel.NOTHING }).admin();
}

/** A log of its own on the file's broker. */
async function open() {
  const prefix = randomUUID();
  const { log } = openKafka({ ...settings, brokers: kafka.brokers, prefix });
  await log.start();
  return { log, prefix };
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
    partitions: settings.partitions,
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
      await client.alterConfigs({
        validateOnly: false,
        resources: [
          { type: TOPIC, name: `${prefix}.reports`, configEntries: [{ name: 'retention.ms', value: '1' }] },
        ],
      });
      const again = openKafka({ ...settings, brokers: kafka.brokers, prefix });
      await Promise.all([again.log.start(), again.table.start()]);
      await Promise.all([again.log.stop(), again.table.stop()]);
      const names = ['reports', 'backfill', 'commands', 'resources', 'state'];
      const { resources } = await client.describeConfigs({
        includeSynonyms: false,
        resources: names.map((name) => ({ type: TOPIC, name: `${prefix}.${name}` })),
      });
      const settingOf = (topic: string, setting: string) =>
        resources
          .find(({ resourceName }) => resourceName === `${prefix}.${topic}`)
          ?.configEntries.find(({ configName }) => configName === setting)?.configValue;
      for (const name of names) expect(settingOf(name, 'message.timestamp.type')).toBe('LogAppendTime');
      expect(settingOf('reports', 'retention.ms')).toBe('3600000');
      expect(settingOf('backfill', 'retention.ms')).toBe('3600000');
      expect(settingOf('commands', 'retention.ms')).toBe(String(7 * 24 * 3_600_000));
      expect(names.map((name) => settingOf(name, 'cleanup.policy'))).toEqual([
        ...['delete', 'delete', 'delete'],
        ...['compact', 'compact'],
      ]);
    } finally {
      await client.disconnect();
      await log.stop();
    }
  });

  test('starting where no broker is says so', async () => {
    const { log } = openKafka({ ...settings, brokers: ['127.0.0.1:1'], prefix: 'nobody' });
    await expect(log.start()).rejects.toMatchObject({ code: 'unavailable' });
  });
});
