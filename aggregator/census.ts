import type { Clock } from '../core/ports/clock.ts';
import type { Logger } from '../core/ports/logger.ts';
import type { Store } from '../core/ports/store.ts';
import { dirtyMinutes } from './census/dirty.ts';
import { countHour, countVirtualSiteHour, HOUR_MS } from './census/hours.ts';
import { countMinutes, minutesPerQuery } from './census/minutes.ts';

/*
 * Counts what arrivals can't: for each closed minute, every member of every virtual site, whether it was heard or not.
 *
 * - A minute is closed `GRACE_MS` after its end: twice the usual way of a report from its probe to its row. What comes
 *   later marks the minute dirty, and it is counted again as a whole, with a higher revision. Counting again what did
 *   not change is harmless.
 * - A call is bounded; its answer says how far it came, and the next call goes on there. The answer is to be kept only
 *   once the call has resolved: after a crash everything since is counted again.
 * - Hours are counted once they are over, and again with a minute of theirs.
 */

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
export const GRACE_MS = 15_000;
/** As long as the minutes of sites are kept (adapters/clickhouse/schema). */
const RETENTION_MS = 30 * DAY_MS;
const MINUTES_PER_CALL = 1440;

export type CensusWatermark = { minutesThroughMs: number; dirtyThroughMs: number };

export interface Census {
  /** Counts closed minutes from `minutesThroughMs` (exclusive end of what was counted) on, and dirty ones again. */
  count(from: CensusWatermark, nowMs: number): Promise<CensusWatermark>;
  /** Gives a virtual site the history that its memberships and the kept minutes of sites allow, newest day first. */
  backfillVirtualSite(name: string, nowMs: number): Promise<void>;
}

export function createCensus({
  store,
  clock,
  logger,
}: {
  store: Store;
  clock: Clock;
  logger: Logger;
}): Census {
  /** One query at a time: two that count the same minute could store the older view of it last. */
  let last: Promise<void> = Promise.resolve();
  const inTurn = (work: () => Promise<void>): Promise<void> => {
    const done = last.then(work);
    last = done.catch(() => {});
    return done;
  };

  async function countAll(minutesMs: readonly number[], name?: string): Promise<void> {
    const size = await minutesPerQuery(store, name);
    for (const some of perHour(minutesMs, size)) await inTurn(() => countMinutes(store, some, name));
  }

  return {
    async count(from, nowMs) {
      const began = clock.monoMs();
      const closedMs = closedThroughMs(nowMs);
      const startMs = Math.max(from.minutesThroughMs, closedMs - RETENTION_MS);
      const throughMs = Math.max(startMs, Math.min(closedMs, startMs + MINUTES_PER_CALL * MINUTE_MS));
      const marks = await dirtyMinutes(store, from.dirtyThroughMs);
      // A dirty minute that is still to come is counted when its turn comes, with what made it dirty.
      const again = marks.minutesMs.filter((ms) => ms < startMs && ms >= closedMs - RETENTION_MS);
      const fresh = minutesOf(startMs, throughMs);
      const minutes = [...again, ...fresh];
      await countAll(minutes);
      for (const hourMs of closedHours(minutes, throughMs)) await inTurn(() => countHour(store, hourMs));
      if (minutes.length > 0)
        logger.debug(
          { minutes: fresh.length, again: again.length, tookMs: Math.round(clock.monoMs() - began) },
          'census.counted',
        );
      return { minutesThroughMs: throughMs, dirtyThroughMs: marks.dirtyThroughMs };
    },

    async backfillVirtualSite(name, nowMs) {
      const began = clock.monoMs();
      const closedMs = closedThroughMs(nowMs);
      const firstMs = await firstMinuteOf(store, name);
      if (firstMs === null) return;
      const oldestMs = Math.max(firstMs, closedMs - RETENTION_MS);
      let days = 0;
      for (let dayMs = floorTo(closedMs, DAY_MS); dayMs + DAY_MS > oldestMs; dayMs -= DAY_MS) {
        const minutes = minutesOf(Math.max(dayMs, oldestMs), Math.min(dayMs + DAY_MS, closedMs));
        await countAll(minutes, name);
        for (const hourMs of closedHours(minutes, closedMs))
          await inTurn(() => countVirtualSiteHour(store, hourMs, name));
        days++;
      }
      logger.info(
        { virtualSite: name, days, tookMs: Math.round(clock.monoMs() - began) },
        'census.backfilled',
      );
    },
  };
}

/** The first minute that has both a member and any site's row; null when there is none. */
async function firstMinuteOf(store: Store, name: string): Promise<number | null> {
  const [row] = await store.query<{
    first_member_ms: number;
    members: number;
    first_ms: number;
    rows: number;
  }>(
    `SELECT toUnixTimestamp64Milli(min(from_at)) AS first_member_ms, count() AS members,
       (SELECT toUnixTimestamp(min(minute)) * 1000 FROM plumbline.site_minute_agg) AS first_ms,
       (SELECT count() FROM plumbline.site_minute_agg) AS rows
     FROM plumbline.membership FINAL WHERE virtual_site = {name:String} AND site != '' AND to_at > from_at`,
    { name },
  );
  if (row === undefined || row.members === 0 || row.rows === 0) return null;
  return Math.max(row.first_ms, floorTo(row.first_member_ms, MINUTE_MS));
}

/** End (exclusive) of the minutes that are closed. */
function closedThroughMs(nowMs: number): number {
  return floorTo(nowMs - GRACE_MS, MINUTE_MS);
}

function minutesOf(fromMs: number, toMs: number): number[] {
  const minutes: number[] = [];
  for (let ms = floorTo(fromMs, MINUTE_MS); ms < toMs; ms += MINUTE_MS) minutes.push(ms);
  return minutes;
}

/** Ascending minutes in lists of one hour each, which is what a query reads, and of so many at most. */
function* perHour(minutesMs: readonly number[], size: number): Generator<number[]> {
  let list: number[] = [];
  for (const ms of minutesMs) {
    const [first] = list;
    if (first !== undefined && (list.length >= size || floorTo(first, HOUR_MS) !== floorTo(ms, HOUR_MS))) {
      yield list;
      list = [];
    }
    list.push(ms);
  }
  if (list.length > 0) yield list;
}

/** Hours of these minutes that are over. */
function closedHours(minutesMs: readonly number[], throughMs: number): Set<number> {
  const hours = new Set(minutesMs.map((ms) => floorTo(ms, HOUR_MS)));
  for (const hourMs of hours) if (hourMs + HOUR_MS > throughMs) hours.delete(hourMs);
  return hours;
}

function floorTo(ms: number, stepMs: number): number {
  return Math.floor(ms / stepMs) * stepMs;
}
