import { expect, test } from 'vitest';
import { FIRST_BOOT, report } from '../parts/report.ts';
import { aggregate, log, now, rows, SITES, said, stateOf, stored, until } from './running.ts';
import { keyOf, sealed } from './site.ts';

test('reports become rows, states and figures; held ones become rows only', async () => {
  const { aggregator, metrics } = await aggregate();
  await log.append('reports', [said('a-1', 5), said('a-2', 1), said('a-3', 1)]);
  await log.append('backfill', [said('a-1', 3), said('a-1', 4)]);
  await until('caught up', () => aggregator.caughtUp());
  expect(await stored()).toEqual([
    { site: 'a-1', seq: 3, lane: 'backfill' },
    { site: 'a-1', seq: 4, lane: 'backfill' },
    { site: 'a-1', seq: 5, lane: 'live' },
    { site: 'a-2', seq: 1, lane: 'live' },
    { site: 'a-3', seq: 1, lane: 'live' },
  ]);
  await until('state', async () => (await stateOf('a-1'))?.seq === 5);
  await until('figures', async () =>
    (await metrics.expose()).includes('plumbline_reports_total{outcome="stored"} 5'),
  );
});

test('a bad record goes to quarantine with its reason and an event, and the others go on', async () => {
  const { aggregator } = await aggregate();
  const forged = { key: 'a-2', value: sealed(report({ site: 'a-2', seq: 7, ts: now }), keyOf('a-1')) };
  const dropped = [{ boot: FIRST_BOOT, from: 4, to: 9 }];
  const early = said('a-3', 2, { ts: now - 10 * 864e5, dropped });
  await log.append('reports', [said('a-1', 1), forged, early, { key: 'a-1', value: Buffer.alloc(3) }]);
  await until('caught up', () => aggregator.caughtUp());
  expect((await stored()).map(({ site }) => site)).toEqual(['a-1']);
  expect(
    await rows("SELECT site, reason, boot != '' AS claimed FROM plumbline.quarantine FINAL ORDER BY site"),
  ).toEqual([
    { site: 'a-1', reason: 'too-short', claimed: 0 },
    { site: 'a-2', reason: 'mac', claimed: 1 },
    { site: 'a-3', reason: 'clock', claimed: 1 },
  ]);
  // A site forgets what it dropped once it has said so, whatever becomes of the report that did.
  expect(
    await rows('SELECT site, toUInt32(from_seq) AS a, toUInt32(to_seq) AS b FROM plumbline.gap FINAL'),
  ).toEqual([{ site: 'a-3', a: 4, b: 9 }]);
  expect(await rows('SELECT kind, site FROM plumbline.event FINAL ORDER BY site')).toEqual(
    ['a-1', 'a-2', 'a-3'].map((site) => ({ kind: 'report.quarantined', site })),
  );
});

test('two aggregators share the partitions, and each record is stored once', async () => {
  const [one, two] = [await aggregate(), await aggregate()];
  for (let seq = 1; seq <= 20; seq++)
    await log.append(
      'reports',
      SITES.map((site) => said(site, seq)),
    );
  await until(
    'caught up',
    async () => (await one.aggregator.caughtUp()) && (await two.aggregator.caughtUp()),
  );
  expect(await stored()).toHaveLength(60);
  await one.aggregator.stop();
  await log.append(
    'reports',
    SITES.map((site) => said(site, 21)),
  );
  await until('caught up', () => two.aggregator.caughtUp());
  expect(await stored()).toHaveLength(63);
  expect(await rows('SELECT * FROM plumbline.quarantine')).toEqual([]);
});

test('a late row marks its minute, after the row is there', async () => {
  const { aggregator } = await aggregate();
  const ts = now - 10 * 60_000;
  await log.append('backfill', [said('a-1', 1, { ts }), said('a-2', 1, { ts })]);
  await until('caught up', () => aggregator.caughtUp());
  expect(
    await rows('SELECT toUInt64(toUnixTimestamp64Milli(minute)) AS at FROM plumbline.dirty_minute FINAL'),
  ).toEqual([{ at: Math.floor(ts / 60_000) * 60_000 }]);
});

test('stopping is idempotent, and leaves nothing uncommitted that was taken', async () => {
  const { aggregator } = await aggregate();
  await log.append('reports', [said('a-1', 1)]);
  await until('caught up', () => aggregator.caughtUp());
  await Promise.all([aggregator.stop(), aggregator.stop()]);
  await aggregator.stop();
  expect(await aggregator.caughtUp()).toBe(false);
});
