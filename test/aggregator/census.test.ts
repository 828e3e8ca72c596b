import { expect, test } from 'vitest';
import { createCensus, GRACE_MS } from '../../aggregator/census.ts';
import type { Store } from '../../core/ports/store.ts';
import { rollup } from '../../core/rollup.ts';
import { silent, withStore } from '../contract/store-embedded.ts';
import { reportRow } from '../contract/store-rows.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
const OPEN_MS = Date.UTC(2100, 0, 1);
/** The start of an hour, recent, since the store forgets by the real clock. */
const BASE_MS = Math.floor(Date.now() / HOUR_MS) * HOUR_MS - 6 * HOUR_MS;

type Interval = { virtualSite: string; site: string; fromMs?: number; toMs?: number; version?: number };

async function addMembers(store: Store, intervals: readonly Interval[]): Promise<void> {
  await store.insert(
    'membership',
    intervals.map(({ virtualSite, site, fromMs = BASE_MS, toMs = OPEN_MS, version = 1 }) => ({
      virtual_site: virtualSite,
      site,
      from_at: fromMs,
      to_at: toMs,
      version,
    })),
  );
}

/** One report a minute of `site`, with this score. */
function minuteRows(site: string, minutes: readonly number[], shown: number | null) {
  return minutes.map((minute) =>
    reportRow({ site, seq: minute + 1, tsMs: BASE_MS + minute * MINUTE_MS + 5_000, score: shown, shown }),
  );
}

const range = (to: number) => Array.from({ length: to }, (_, index) => index);
const from = (minute = 0, dirtyThroughMs = 0) => ({
  minutesThroughMs: BASE_MS + minute * MINUTE_MS,
  dirtyThroughMs,
});
const after = (minute: number) => BASE_MS + minute * MINUTE_MS + GRACE_MS;
const census = (store: Store) =>
  createCensus({ store, clock: { nowMs: () => 0, monoMs: () => 0 }, logger: silent });

function minutesOf(store: Store, name: string) {
  return store.query<Record<string, unknown>>(
    `SELECT toInt32((toUnixTimestamp(minute) - {base:UInt32}) / 60) AS at, members, green, orange, red, unknown,
       score_min, revision FROM plumbline.virtual_site_minute WHERE virtual_site = {name:String} ORDER BY minute`,
    { name, base: BASE_MS / 1000 },
  );
}

test('counts every member of each closed minute, heard or not, and stops at the grace', async () => {
  await withStore(async (store) => {
    await addMembers(
      store,
      ['a', 'b', 'c', 'dumb', 'never'].map((site) => ({ virtualSite: 'prod', site })),
    );
    await store.insert('report', [
      ...minuteRows('a', [0, 1, 2], 90),
      ...minuteRows('b', [0, 1], 75),
      ...minuteRows('c', [0], 39),
      ...minuteRows('dumb', [0], null),
    ]);
    const through = await census(store).count(from(), after(2) - 1);
    expect(through.minutesThroughMs).toBe(BASE_MS + MINUTE_MS);
    expect((await census(store).count(through, after(2))).minutesThroughMs).toBe(BASE_MS + 2 * MINUTE_MS);
    const counted = { members: 5, green: 1, revision: 1 };
    expect(await minutesOf(store, 'prod')).toEqual([
      { at: 0, ...counted, orange: 1, red: 1, unknown: 2, score_min: 39 },
      { at: 1, ...counted, orange: 1, red: 0, unknown: 3, score_min: 75 },
    ]);
  });
});

test('figures of a minute are those of the live rollup', async () => {
  await withStore(async (store) => {
    const rows = range(37).map((index) =>
      reportRow({ site: `s${index}`, seq: index + 1, tsMs: BASE_MS + 1_000, shown: (index * 53) % 101 }),
    );
    await store.insert('report', rows);
    await addMembers(
      store,
      rows.map(({ site }) => ({ virtualSite: 'all', site })),
    );
    await census(store).count(from(), after(1));
    const live = rollup(
      rows.map(({ site, shown, cpu_bp, memory_bp }) => ({
        id: site,
        state: 'green',
        freshness: 'heard',
        score: shown,
        reason: '',
        cpu: (cpu_bp ?? 0) / 10_000,
        memory: (memory_bp ?? 0) / 10_000,
        links: { up: 0, total: 0 },
      })),
    );
    const [row] = await store.query<Record<string, unknown>>(
      `SELECT members, score_min, score_p10, score_p50, score_p90, round(score_mean, 3) AS score_mean, cpu_histogram,
         memory_histogram, arrayMap(each -> each.1, worst) AS worst FROM plumbline.virtual_site_minute`,
    );
    expect(row).toEqual({
      members: 37,
      score_min: live.score?.min,
      score_p10: live.score?.p10,
      score_p50: live.score?.p50,
      score_p90: live.score?.p90,
      score_mean: Number(live.score?.mean.toFixed(3)),
      cpu_histogram: live.cpuHistogram,
      memory_histogram: live.memoryHistogram,
      worst: live.worst.map(({ site }) => site),
    });
  });
});

test('late rows revise their minute and its hour, and only once it was counted', async () => {
  await withStore(async (store) => {
    await addMembers(
      store,
      ['a', 'b'].map((site) => ({ virtualSite: 'prod', site })),
    );
    await store.insert('report', minuteRows('a', range(60), 90));
    const counted = await census(store).count(from(), after(60));
    const hour = () =>
      store.query(
        'SELECT member_minutes, green_minutes, red_minutes, unknown_minutes, revision FROM plumbline.virtual_site_hour',
      );
    expect(await hour()).toEqual([
      { member_minutes: 120, green_minutes: 60, red_minutes: 0, unknown_minutes: 60, revision: 1 },
    ]);
    await store.insert('report', minuteRows('b', [7, 61], 10));
    await store.insert('dirty_minute', [
      { minute: BASE_MS + 7 * MINUTE_MS },
      { minute: BASE_MS + 61 * MINUTE_MS },
    ]);
    const again = await census(store).count(counted, after(61));
    expect(again.minutesThroughMs).toBe(BASE_MS + 61 * MINUTE_MS);
    const rows = await minutesOf(store, 'prod');
    expect(rows).toHaveLength(61);
    expect(rows[7]).toEqual({
      at: 7,
      members: 2,
      green: 1,
      orange: 0,
      red: 1,
      unknown: 0,
      score_min: 10,
      revision: 2,
    });
    expect(rows.filter(({ revision }) => revision !== 1)).toHaveLength(1);
    expect(await hour()).toEqual([
      { member_minutes: 120, green_minutes: 60, red_minutes: 1, unknown_minutes: 59, revision: 2 },
    ]);
  });
});

test('a mark that becomes visible after a later one is not passed by', async () => {
  await withStore(async (store) => {
    await addMembers(store, [{ virtualSite: 'prod', site: 'a' }]);
    const counted = await census(store).count(from(), after(3));
    await store.insert('dirty_minute', [{ minute: BASE_MS }]);
    const later = await census(store).count(counted, after(3));
    await store.insert('report', minuteRows('a', [1], 90));
    await store.derive(
      `INSERT INTO plumbline.dirty_minute (minute, marked_at)
       SELECT toDateTime64({minute:UInt32}, 3, 'UTC'), now64(3) - INTERVAL 5 SECOND`,
      { minute: (BASE_MS + MINUTE_MS) / 1000 },
    );
    await census(store).count(later, after(3));
    expect((await minutesOf(store, 'prod'))[1]).toMatchObject({ green: 1, unknown: 0 });
  });
});

test('membership is what it was: a site that moved counts where it was, a voided interval nowhere', async () => {
  await withStore(async (store) => {
    const movedMs = BASE_MS + 2 * MINUTE_MS;
    await addMembers(store, [
      { virtualSite: 'test', site: 'a' },
      { virtualSite: 'test', site: 'b' },
      { virtualSite: 'test', site: 'void' },
    ]);
    await addMembers(store, [
      { virtualSite: 'test', site: 'a', toMs: movedMs, version: 2 },
      { virtualSite: 'prod', site: 'a', fromMs: movedMs, version: 2 },
      { virtualSite: 'test', site: 'void', toMs: BASE_MS, version: 2 },
      { virtualSite: 'test', site: '', version: 2 },
    ]);
    await store.insert('report', minuteRows('a', range(4), 90));
    await census(store).count(from(), after(4));
    const members = async (name: string) =>
      (await minutesOf(store, name)).map((row) => [row.at, row.members]);
    expect(await members('test')).toEqual([0, 1, 2, 3].map((at) => [at, at < 2 ? 2 : 1]));
    expect(await members('prod')).toEqual([2, 3].map((at) => [at, 1]));
  });
});

test('a new virtual site gets the history that its members have', async () => {
  await withStore(async (store) => {
    await store.insert('report', [...minuteRows('a', range(180), 90), ...minuteRows('b', range(90), 20)]);
    await addMembers(store, [
      { virtualSite: 'new', site: 'a', fromMs: BASE_MS + 30 * MINUTE_MS },
      { virtualSite: 'new', site: 'b', fromMs: BASE_MS + 30 * MINUTE_MS },
      { virtualSite: 'other', site: 'a' },
    ]);
    await census(store).backfillVirtualSite('new', after(180));
    const rows = await minutesOf(store, 'new');
    expect(rows.map(({ at }) => at)).toEqual(range(150).map((index) => index + 30));
    expect(rows[0]).toMatchObject({ members: 2, green: 1, red: 1, unknown: 0 });
    expect(rows[149]).toMatchObject({ members: 2, green: 1, red: 0, unknown: 1 });
    expect(
      await store.query(
        'SELECT virtual_site, minutes, red_minutes FROM plumbline.virtual_site_hour ORDER BY hour',
      ),
    ).toEqual([
      { virtual_site: 'new', minutes: 30, red_minutes: 30 },
      { virtual_site: 'new', minutes: 60, red_minutes: 30 },
      { virtual_site: 'new', minutes: 60, red_minutes: 0 },
    ]);
    expect(await minutesOf(store, 'other')).toEqual([]);
    await census(store).backfillVirtualSite('nobody', after(180));
  });
});

test('requests and errors of links are differences of totals, also over a restart of the counter', async () => {
  await withStore(async (store) => {
    await addMembers(store, [{ virtualSite: 'prod', site: 'a' }]);
    const link = (minute: number, epoch: number, requests: number, losses: number) =>
      reportRow({
        site: 'a',
        seq: minute * 10 + epoch,
        tsMs: BASE_MS + minute * MINUTE_MS + epoch * 1_000,
        link_name: ['hub'],
        link_up: [1],
        link_epoch: [epoch],
        link_requests: [requests],
        link_losses: [losses],
        link_errors: [0],
        link_p50_us: [1],
        link_p90_us: [1],
        link_p99_us: [1],
      });
    await store.insert('report', [
      link(0, 1, 100, 4),
      link(1, 1, 160, 5),
      link(2, 1, 170, 5),
      link(2, 2, 30, 1),
      link(3, 2, 80, 1),
      link(5, 2, 300, 1),
    ]);
    await census(store).count(from(), after(6));
    expect(
      await store.query(
        `SELECT groupArray(links_requests) AS requests, groupArray(links_losses) AS losses
         FROM (SELECT * FROM plumbline.virtual_site_minute ORDER BY minute)`,
      ),
    ).toEqual([{ requests: [0, 60, 10 + 30, 50, 0, 0], losses: [0, 1, 0 + 1, 0, 0, 0] }]);
  });
});
