import { expect, test } from 'vitest';
import type { ReportRow } from '../../core/model/rows.ts';
import { systemClock } from '../../core/ports/clock.ts';
import { type Store, StoreError } from '../../core/ports/store.ts';
import { TableError } from '../../core/ports/table.ts';
import { reportRow } from '../contract/store-rows.ts';
import { FIRST_BOOT } from '../parts/report.ts';
import { aggregate, log, now, rows, said, stateOf, store, stored, table, until } from './running.ts';
import { reportsOf } from './stored.ts';

test('an insert that fails is done again, and nothing is committed before', async () => {
  let failures = 3;
  const insert: Store['insert'] = async (name, some) => {
    if (name === 'report' && failures-- > 0) throw new StoreError('unavailable', 'away');
    await store.insert(name, some);
  };
  const query: Store['query'] = (sql, params, lane) => store.query(sql, params, lane);
  const { aggregator } = await aggregate({
    store: { start: async () => {}, stop: async () => {}, derive: store.derive.bind(store), insert, query },
  });
  await log.append('reports', [said('a-1', 1), said('a-2', 1)]);
  await until('first failure', async () => failures < 3);
  expect(await aggregator.caughtUp()).toBe(false);
  await until('caught up', () => aggregator.caughtUp());
  expect(failures).toBe(-1);
  expect(await stored()).toHaveLength(2);
});

test('a batch that can not be stored is not kept up with for long', async () => {
  let isAway = false;
  let tries = 0;
  let waitedMs = 0;
  const insert: Store['insert'] = async (name, some) => {
    tries++;
    if (isAway) throw new StoreError('unavailable', 'away');
    await store.insert(name, some);
  };
  const query: Store['query'] = (sql, params, lane) => store.query(sql, params, lane);
  const { aggregator } = await aggregate({
    store: { start: async () => {}, stop: async () => {}, derive: store.derive.bind(store), insert, query },
    clock: { ...systemClock, monoMs: () => systemClock.monoMs() + waitedMs },
  });
  await log.append('reports', [said('a-1', 1)]);
  await until('caught up', () => aggregator.caughtUp());
  isAway = true;
  tries = 0;
  await log.append('reports', [said('a-1', 2)]);
  await until('a try', async () => tries > 0);
  expect(await aggregator.keepsUp()).toBe(true);
  waitedMs = 60_000;
  expect(await aggregator.keepsUp()).toBe(false);
  isAway = false;
  await until('keeping up', () => aggregator.keepsUp());
  await until('caught up', () => aggregator.caughtUp());
  expect(await stored()).toHaveLength(2);
});

test('after a restart without a commit the same records come again, and a copied identity is still seen', async () => {
  const blocked: Store['insert'] = async (name, some) => {
    await store.insert(name, some);
    throw new StoreError('unavailable', 'killed after the insert');
  };
  const query: Store['query'] = (sql, params, lane) => store.query(sql, params, lane);
  const first = await aggregate({
    store: {
      start: async () => {},
      stop: async () => {},
      derive: store.derive.bind(store),
      insert: blocked,
      query,
    },
  });
  await log.append('reports', [said('a-1', 1), said('a-1', 2)]);
  await until('rows', async () => (await stored()).length === 2);
  await first.aggregator.stop();

  const { aggregator } = await aggregate();
  await until('caught up', () => aggregator.caughtUp());
  await log.append('backfill', [said('a-1', 1), said('a-1', 2, { missed: 9 })]);
  await until('caught up again', () => aggregator.caughtUp());
  expect(await stored()).toHaveLength(2);
  expect(await rows('SELECT reason, toUInt32(seq) AS seq FROM plumbline.quarantine FINAL')).toEqual([
    { reason: 'conflict', seq: 2 },
  ]);
});

test('a restarted aggregator looks up in the store what it no longer remembers', async () => {
  const first = await aggregate();
  await log.append('reports', [said('a-1', 1), said('a-1', 2), said('a-1', 3)]);
  await until('caught up', () => first.aggregator.caughtUp());
  await first.aggregator.stop();
  const { aggregator, metrics } = await aggregate();
  await log.append('reports', [said('a-1', 2), said('a-1', 1, { missed: 4 })]);
  await until('caught up', () => aggregator.caughtUp());
  expect(await rows('SELECT reason FROM plumbline.quarantine FINAL')).toEqual([{ reason: 'conflict' }]);
  await until('figures', async () =>
    (await metrics.expose()).includes('plumbline_reports_total{outcome="repeated"} 1'),
  );
  expect((await stateOf('a-1'))?.seq).toBe(3);
});

test('a held report that comes first after a restart hides no conflict with what the store has', async () => {
  const first = await aggregate();
  await log.append('backfill', [said('a-1', 7)]);
  await log.append('reports', [said('a-1', 1)]);
  await until('caught up', () => first.aggregator.caughtUp());
  await first.aggregator.stop();
  const { aggregator } = await aggregate();
  await log.append('backfill', [said('a-1', 3)]);
  await until('caught up', () => aggregator.caughtUp());
  await log.append('reports', [said('a-1', 5), said('a-1', 7, { missed: 4 }), said('a-1', 8)]);
  await until('caught up', () => aggregator.caughtUp());
  expect(await rows('SELECT reason, toUInt32(seq) AS seq FROM plumbline.quarantine FINAL')).toEqual([
    { reason: 'conflict', seq: 7 },
  ]);
  expect((await stored()).map(({ seq }) => seq)).toEqual([1, 3, 5, 7, 8]);
});

test('two contents far apart in one batch conflict', async () => {
  await log.append('reports', [said('a-1', 600)]);
  const others = Array.from({ length: 300 }, (_, i) => said('a-1', i + 1));
  await log.append('backfill', [...others, said('a-1', 1, { missed: 5 })]);
  const { aggregator } = await aggregate();
  await until('caught up', () => aggregator.caughtUp());
  expect(await rows('SELECT reason, toUInt32(seq) AS seq FROM plumbline.quarantine FINAL')).toEqual([
    { reason: 'conflict', seq: 1 },
  ]);
  expect(await stored()).toHaveLength(301);
});

/** The store with what `change` makes of each report, to bring about what no report can. */
function storeWith(change: (row: ReportRow) => ReportRow, refuses: (table: string) => boolean = () => false) {
  const insert: Store['insert'] = async (name, some) => {
    if (refuses(name)) throw new StoreError('rejected', 'no such column');
    if (name === 'report') await store.insert('report', reportsOf(some).map(change));
    else await store.insert(name, some);
  };
  const query: Store['query'] = (sql, params, lane) => store.query(sql, params, lane);
  return { start: async () => {}, stop: async () => {}, derive: store.derive.bind(store), insert, query };
}
const isPoison = ({ seq }: { seq: number }) => seq % 10 === 3;
const poisoned = (row: ReportRow): ReportRow => (isPoison(row) ? { ...row, link_up: [] } : row);

test('reports that the store never takes are quarantined alone, also when they come again', async () => {
  const seqs = Array.from({ length: 24 }, (_, i) => i + 1);
  await log.append(
    'reports',
    seqs.map((seq) => said('a-1', seq)),
  );
  let crashes = true;
  const first = await aggregate({ store: storeWith(poisoned, (name) => name === 'event' && crashes) });
  await until('quarantine', async () => (await rows('SELECT 1 FROM plumbline.quarantine')).length > 0);
  await first.aggregator.stop();
  crashes = false;
  const { aggregator, metrics } = await aggregate({ store: storeWith(poisoned) });
  await until('caught up', () => aggregator.caughtUp());
  const quarantined = await rows(
    'SELECT reason, toUInt32(seq) AS seq FROM plumbline.quarantine FINAL ORDER BY seq',
  );
  expect(quarantined).toEqual([3, 13, 23].map((seq) => ({ reason: 'unstorable', seq })));
  const [ledger] = await rows<{ stored: number }>(
    'SELECT toUInt32(stored) AS stored FROM plumbline.boot_ledger',
  );
  expect(ledger).toEqual({ stored: 21 });
  expect(await rows('SELECT DISTINCT kind, severity FROM plumbline.event FINAL')).toEqual([
    { kind: 'report.quarantined', severity: 'warning' },
  ]);
  await until('figures', async () =>
    (await metrics.expose()).includes('plumbline_quarantined_total{reason="unstorable"} 3'),
  );
  await until('state', async () => (await stateOf('a-1'))?.seq === 24);
});

test('what can neither be stored nor quarantined waits, and says why', async () => {
  let waitedMs = 0;
  let isRefusing = true;
  const { aggregator } = await aggregate({
    store: storeWith(poisoned, (name) => name === 'quarantine' && isRefusing),
    clock: { ...systemClock, monoMs: () => systemClock.monoMs() + waitedMs },
  });
  expect(aggregator.trouble()).toBeNull();
  await log.append('reports', [said('a-1', 3), said('a-1', 4)]);
  await until('the other one', async () => (await stored()).some(({ seq }) => seq === 4));
  waitedMs = 60_000;
  await until('trouble', async () => aggregator.trouble() !== null);
  expect(aggregator.trouble()).toBe('insert: no such column (rejected)');
  expect(await aggregator.caughtUp()).toBe(false);
  isRefusing = false;
  await until('caught up', () => aggregator.caughtUp());
  await until('no trouble', async () => aggregator.trouble() === null);
  expect(await rows('SELECT reason FROM plumbline.quarantine FINAL')).toEqual([{ reason: 'unstorable' }]);
});

test('a state that was not published before a kill is published once the aggregator runs again', async () => {
  const one = await aggregate();
  await log.append('reports', [said('a-1', 1), said('a-2', 1)]);
  await until(
    'published',
    async () => (await stateOf('a-1'))?.seq === 1 && (await stateOf('a-2'))?.seq === 1,
  );
  await one.aggregator.stop();
  const killed = await aggregate({
    table: {
      start: async () => {},
      stop: async () => {},
      view: (name) => table.view(name),
      claim: (role) => table.claim(role),
      write: () => Promise.reject(new TableError('unavailable', 'killed before it published')),
    },
  });
  await log.append('reports', [said('a-1', 2)]);
  await until('committed', () => killed.aggregator.caughtUp());
  await killed.aggregator.stop();
  await log.append('backfill', [said('a-2', 2)]);
  // It was removed, and begins anew: its former life had more boots, and is none of its state.
  const former = reportRow({ site: 'a-3', boot: '00000009-0a1b2c3d', seq: 9, tsMs: now - 3600_000 });
  await store.insert('report', [former]);
  await log.append('reports', [said('a-3', 1)]);
  let laterMs = 0;
  const { aggregator } = await aggregate({
    clock: { nowMs: () => Date.now() + laterMs, monoMs: () => systemClock.monoMs() + laterMs },
  });
  await until('caught up', () => aggregator.caughtUp());
  expect((await stateOf('a-1'))?.seq).toBe(1);
  laterMs = 61_000;
  await until('mended', async () => (await stateOf('a-1'))?.seq === 2);
  const [state] = [await stateOf('a-1')];
  expect(state).toMatchObject({ site: 'a-1', links: { total: 3, up: 3 }, shown: expect.any(Number) });
  // What came held never speaks for a site.
  expect((await stateOf('a-2'))?.seq).toBe(1);
  expect(await stateOf('a-3')).toMatchObject({ boot: FIRST_BOOT, seq: 1 });
  await log.append('reports', [said('a-1', 3), said('a-1', 2)]);
  await until('goes on', async () => (await stateOf('a-1'))?.seq === 3);
  expect(await rows('SELECT * FROM plumbline.quarantine')).toEqual([]);
});
