import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Collector, Hub } from '../parts/hub.ts';
import { type KafkaPart, startKafka } from '../parts/kafka.ts';
import { until } from '../parts/process.ts';

describe('a hub whose broker dies and comes back', { timeout: 240_000 }, () => {
  const hub = new Hub();
  let kafka: KafkaPart;
  let collector: Collector;
  beforeAll(async () => {
    kafka = await startKafka();
    await hub.start({ PLUMBLINE_KAFKA_BROKERS: kafka.brokers.join(',') });
    collector = new Collector(await hub.addSite('ash'));
    collector.start();
  }, 240_000);
  afterAll(async () => {
    await collector?.remove();
    await hub.remove();
    await kafka?.stop();
  }, 60_000);

  const heard = () =>
    until(
      'ash is heard',
      async () => (await hub.site('ash')).site.freshness === 'heard',
      60_000,
      () => hub.output(),
    );

  it('goes on by itself, takes changes again, and has lost nothing', async () => {
    await heard();
    await kafka.kill();
    await until(
      'no score outlives its freshness',
      async () => (await hub.site('ash')).site.state === 'unknown',
      60_000,
    );
    // A change now can't be made, and is not said to have been.
    expect(
      (await hub.call('POST', '/api/v1/sites', { name: 'birch', labels: {} })).status,
    ).toBeGreaterThanOrEqual(500);
    await kafka.restart();
    await heard();
    await until(
      'changes are taken again',
      async () => (await hub.call('PATCH', '/api/v1/sites/ash', { labels: { env: 'test' } })).status === 200,
      120_000,
      () => hub.output(),
    );
    const ledger = await until(
      'what was held has arrived',
      async () => {
        const found = (await hub.doctor()).sites.find(({ site }) => site === 'ash');
        return found !== undefined && found.pending <= 1 && found.missing === 0 && found;
      },
      60_000,
    );
    expect(ledger).toMatchObject({ gaps: 0, quarantined: 0, missing: 0 });
  });
});
