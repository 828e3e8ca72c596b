import { afterAll, beforeAll, describe } from 'vitest';
import { type KafkaPart, startKafka } from '../parts/kafka.ts';
import * as scenario from './fleet-scenario.ts';

const BROKER = 2;

describe('four sites in namespaces, on Kafka', { timeout: 200_000 }, () => {
  let fleet: scenario.Fleet;
  let kafka: KafkaPart;
  beforeAll(async () => {
    fleet = new scenario.Fleet();
    const namespace = fleet.network.host('broker', BROKER);
    kafka = await startKafka({ namespace, host: fleet.network.addressOf(BROKER) });
    await fleet.start({ PLUMBLINE_KAFKA_BROKERS: kafka.brokers.join(',') });
  }, 240_000);
  afterAll(async () => {
    await fleet?.remove();
    await kafka?.stop();
  }, 60_000);

  scenario.chapters(() => fleet);
});
