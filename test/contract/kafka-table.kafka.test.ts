import { randomUUID } from 'node:crypto';
import kafkajs, { Kafka, logLevel } from 'kafkajs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openKafka } from '../../adapters/kafka/open.ts';
import { type KafkaPart, startKafka } from '../parts/kafka.ts';
import { until } from '../parts/process.ts';
import { silentLogger } from './silent-logger.ts';
import { tableContract } from './table.contract.ts';
import { entry, shown, untilShown } from './table-world.ts';

const { TOPIC } = kafkajs.ConfigResourceTypes;

let kafka: KafkaPart;

beforeAll(async () => {
  kafka = await startKafka();
});
afterAll(async () => {
  await kafka?.stop();
});

async function open(prefix: string) {
  const settings = { partitions: 1, replicationFactor: 1, retentionMs: 3_600_000, logger: silentLogger };
  const { table } = openKafka({ ...settings, brokers: kafka.brokers, prefix });
  await table.start();
  return table;
}

tableContract('Kafka', async () => {
  const prefix = randomUUID();
  let table = await open(prefix);
  return {
    table,
    reopen: async () => {
      await table.stop();
      table = await open(prefix);
      return table;
    },
    close: () => table.stop(),
  };
});

describe('Kafka: what only a broker can do', () => {
  test('an owner in another process is fenced as well', async () => {
    const prefix = randomUUID();
    const [here, there] = await Promise.all([open(prefix), open(prefix)]);
    try {
      const old = await here.claim('control');
      await old.write('resources', [entry('a', 'here')]);
      const current = await there.claim('control');
      await expect(old.write('resources', [entry('a', 'stale')])).rejects.toMatchObject({ code: 'fenced' });
      await current.write('resources', [entry('b', 'there')]);
      expect(shown(await here.view('resources'))).toEqual({ a: 'here', b: 'there' });
    } finally {
      await Promise.all([here.stop(), there.stop()]);
    }
  });

  test('what an owner that died left half done is never seen', async () => {
    const prefix = randomUUID();
    const table = await open(prefix);
    const dying = new Kafka({ brokers: kafka.brokers, logLevel: logLevel.NOTHING }).producer({
      transactionalId: `${prefix}.owner.control`,
      maxInFlightRequests: 1,
    });
    await dying.connect();
    try {
      const before = await table.view('resources');
      const half = await dying.transaction();
      await half.send({ topic: `${prefix}.resources`, messages: [{ key: 'half', value: 'done' }] });
      const owner = await table.claim('control');
      await owner.write('resources', [entry('a', '1'), entry('b', '1')]);
      await untilShown(before, 'b', '1');
      const whole = { a: '1', b: '1' };
      expect([shown(before), shown(await table.view('resources'))]).toEqual([whole, whole]);
    } finally {
      await dying.disconnect();
      await table.stop();
    }
  });

  test('a broker that is killed and comes back: the view goes on, and nothing written is lost', async () => {
    const table = await open(randomUUID());
    try {
      const view = await table.view('state');
      await table.write('state', [entry('a', 'before')]);
      await untilShown(view, 'a', 'before');
      await kafka.kill();
      expect(shown(view)).toEqual({ a: 'before' });
      await kafka.restart();
      await table.write('state', [entry('b', 'after')]);
      await untilShown(view, 'b', 'after');
      expect(shown(await table.view('state'))).toEqual({ a: 'before', b: 'after' });
    } finally {
      await table.stop();
    }
  });

  test('after the broker has compacted, and tombstones are gone, a new view shows the same', async () => {
    const prefix = randomUUID();
    const table = await open(prefix);
    const client = new Kafka({ brokers: kafka.brokers, logLevel: logLevel.NOTHING }).admin();
    await client.connect();
    try {
      await compactAtOnce(client, `${prefix}.state`);
      for (let i = 0; i < 20; i++)
        await table.write('state', [entry('a', String(i)), entry(`gone${i}`, 'x')]);
      await table.write(
        'state',
        Array.from({ length: 20 }, (_, i) => entry(`gone${i}`, null)),
      );
      const raw = () => countRecords(prefix);
      await until('the broker has compacted', async () => {
        // A segment is compacted when the next one has begun.
        await table.write('state', [entry('tick', String(performance.now()))]);
        return (await raw()) < 20;
      });
      const view = await table.view('state');
      expect(Object.keys(shown(view)).sort()).toEqual(['a', 'tick']);
      expect(shown(view).a).toBe('19');
    } finally {
      await client.disconnect();
      await table.stop();
    }
  });

  test('after compaction has left holes in a batch, a new view is whole, and goes on', async () => {
    const prefix = randomUUID();
    const table = await open(prefix);
    const client = new Kafka({ brokers: kafka.brokers, logLevel: logLevel.NOTHING }).admin();
    await client.connect();
    try {
      await compactAtOnce(client, `${prefix}.state`);
      const keys = Array.from({ length: 50 }, (_, i) => `k${i}`);
      await table.write(
        'state',
        keys.map((key) => entry(key, 'first')),
      );
      const others = keys.filter((key) => key !== 'k25');
      // The later batch loses all its records.
      for (const text of ['second', 'third'])
        await table.write(
          'state',
          others.map((key) => entry(key, text)),
        );
      await table.write(
        'state',
        others.map((key) => entry(key, null)),
      );
      await until('the broker has compacted', async () => {
        await table.write('state', [entry('tick', String(performance.now()))]);
        return (await countRecords(prefix)) < 20;
      });
      const view = await table.view('state');
      expect(Object.keys(shown(view)).sort()).toEqual(['k25', 'tick']);
      await table.write('state', [entry('k25', 'later')]);
      await untilShown(view, 'k25', 'later');
    } finally {
      await client.disconnect();
      await table.stop();
    }
  });
});

async function compactAtOnce(client: ReturnType<Kafka['admin']>, topic: string): Promise<void> {
  const settings = {
    'cleanup.policy': 'compact',
    'message.timestamp.type': 'LogAppendTime',
    'segment.ms': '100',
    'min.cleanable.dirty.ratio': '0.001',
    'delete.retention.ms': '0',
  };
  const configEntries = Object.entries(settings).map(([name, value]) => ({ name, value }));
  await client.alterConfigs({
    validateOnly: false,
    resources: [{ type: TOPIC, name: topic, configEntries }],
  });
}

/** How many records of the table the broker still has, tombstones included. */
async function countRecords(prefix: string): Promise<number> {
  const consumer = new Kafka({ brokers: kafka.brokers, logLevel: logLevel.NOTHING }).consumer({
    groupId: randomUUID(),
    maxWaitTimeInMs: 100,
  });
  let count = 0;
  let quietSinceMs = performance.now();
  await consumer.connect();
  try {
    await consumer.subscribe({ topic: `${prefix}.state`, fromBeginning: true });
    await consumer.run({
      eachMessage: async () => {
        count += 1;
        quietSinceMs = performance.now();
      },
    });
    await until('all are read', () => count > 0 && performance.now() - quietSinceMs > 300);
  } finally {
    await consumer.disconnect();
  }
  return count;
}
