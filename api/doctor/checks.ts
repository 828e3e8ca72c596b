import { statfs } from 'node:fs/promises';
import { firstFew } from '../../core/first-few.ts';
import type { Hearing } from '../../core/freshness.ts';
import type { HubStatus } from '../../core/model/resource.ts';
import type { Diagnosis, Ledger } from '../../core/model/view.ts';
import { plural } from '../../core/plural.ts';
import { type Store, StoreError } from '../../core/ports/store.ts';
import type { FleetEntry } from '../live/fleet.ts';

export type Check = Diagnosis['checks'][number];

/** Control says that it is alive every 5 s. */
const CONTROL_AWAY_MS = 30_000;
const CLOCK_OFF_MS = 5_000;
const LEAST_FREE_RATIO = 0.1;
const LEAST_FREE_BYTES = 1_000_000_000;
const HOUR_MS = 3_600_000;
/** Names in a sentence. */
const MOST_NAMED = 5;

/** Null when it does not answer. */
export async function storeCheck(store: Store, nowMono: () => number): Promise<Check> {
  const began = nowMono();
  try {
    await store.query('SELECT 1 AS one');
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    return {
      name: 'store',
      status: 'failed',
      detail: `the store does not answer (${error.code})`,
      remedy: 'see that ClickHouse runs and that its disk has room; the hub’s log says more (store.*)',
    };
  }
  return { name: 'store', status: 'ok', detail: `answers within ${Math.ceil(nowMono() - began)} ms` };
}

export function caughtUpCheck(hearing: Hearing): Check {
  if (hearing.trouble !== undefined)
    return {
      name: 'log',
      status: 'failed',
      detail: `reports wait in the log, because they can't be brought to the store: ${hearing.trouble}`,
      remedy:
        'mend what the store says; nothing is lost meanwhile, and it goes on by itself (aggregator.* in the hub’s log)',
    };
  if (hearing.caughtUp)
    return { name: 'log', status: 'ok', detail: `everything that sites sent has been read` };
  return {
    name: 'log',
    status: 'warning',
    detail: `reports still wait in the log`,
    remedy: 'wait a moment; if it stays, an aggregator is missing or too slow: see aggregator.* in its log',
  };
}

export function controlCheck(hub: HubStatus | null, nowMs: number): Check {
  const remedy = 'start `plumbline control` (or `up`) and see its log; changes wait until it runs';
  if (hub === null) return { name: 'control', status: 'failed', detail: 'no control role ever ran', remedy };
  const agoMs = nowMs - hub.spec.aliveAtMs;
  const detail = `control was alive ${Math.max(0, Math.round(agoMs / 1000))} s ago`;
  return agoMs > CONTROL_AWAY_MS
    ? { name: 'control', status: 'failed', detail, remedy }
    : { name: 'control', status: 'ok', detail };
}

/** What control found to be wrong with policy as a whole. */
export function policyChecks(hub: HubStatus | null): Check[] {
  const troubles = hub?.spec.troubles ?? [];
  if (troubles.length === 0)
    return [
      { name: 'policy', status: 'ok', detail: 'the hub leads: no site is ahead of it or distrusts it' },
    ];
  return troubles.map(({ severity, detail, remedy, sinceMs }) => ({
    name: 'policy',
    status: severity === 'critical' ? 'failed' : 'warning',
    detail: `${detail} (since ${new Date(sinceMs).toISOString()})`,
    remedy,
  }));
}

export function silenceCheck(entries: readonly FleetEntry[]): Check {
  const silent = entries.filter(({ view }) => view.freshness === 'silent').map(({ view }) => view.id);
  if (silent.length === 0)
    return {
      name: 'silent sites',
      status: 'ok',
      detail: `none of ${plural(entries.length, 'site')} is silent`,
    };
  return {
    name: 'silent sites',
    status: 'warning',
    detail: `silent: ${silent.length} of ${plural(entries.length, 'site')}: ${firstFew(silent, MOST_NAMED)}`,
    remedy:
      'see that their collectors run and reach the hub; remove a site that is gone with `plumbline site remove`',
  };
}

export function clockCheck(entries: readonly FleetEntry[]): Check {
  const off = entries.flatMap(({ state }) =>
    state !== null && Math.abs(state.clockOffsetMs ?? 0) > CLOCK_OFF_MS
      ? [`${state.site} (${(-(state.clockOffsetMs ?? 0) / 1000).toFixed(1)} s)`]
      : [],
  );
  if (off.length === 0)
    return { name: 'clocks', status: 'ok', detail: 'no site is more than 5 s off the hub’s clock' };
  return {
    name: 'clocks',
    status: 'warning',
    detail: `clocks are off at ${plural(off.length, 'site')} (their reports are corrected): ${firstFew(off, MOST_NAMED)}`,
    remedy: 'run a time service (chrony, systemd-timesyncd) at those sites',
  };
}

export async function quarantineCheck(store: Store, nowMs: number): Promise<Check> {
  const rows = await store.query<{ site: string; reason: string; records: number }>(
    `SELECT site, reason, toUInt32(uniqExact(record_hash, received_at)) AS records FROM plumbline.quarantine
     WHERE received_at > fromUnixTimestamp64Milli({since:Int64}) GROUP BY site, reason ORDER BY records DESC, site LIMIT 100`,
    { since: nowMs - HOUR_MS },
  );
  if (rows.length === 0)
    return { name: 'quarantine', status: 'ok', detail: 'nothing was refused in the last hour' };
  const records = rows.reduce((sum, row) => sum + row.records, 0);
  return {
    name: 'quarantine',
    status: 'warning',
    detail: `${records} records were refused in the last hour: ${firstFew(
      rows.map((row) => `${row.site}: ${row.reason} × ${row.records}`),
      MOST_NAMED,
    )}`,
    remedy: 'see why with `plumbline get events` (report.quarantined and report.conflict)',
  };
}

/** `restoredAtMs`: when the hub was restored from a backup last; null when it never was. */
export function accountCheck(
  ledgers: readonly Ledger[],
  hearing: Hearing,
  restoredAtMs: number | null,
): Check {
  const missing = ledgers.filter((ledger) => ledger.missing > 0);
  const gaps = ledgers.reduce((sum, ledger) => sum + ledger.gaps, 0);
  const lost = ledgers.reduce((sum, ledger) => sum + ledger.lost, 0);
  const dropped =
    gaps === 0 ? '' : `; ${gaps} were dropped by sites that were cut off too long (recorded gaps)`;
  const before =
    lost === 0 || restoredAtMs === null
      ? ''
      : `; ${lost} from before the restore at ${new Date(restoredAtMs).toISOString()} are not in this store`;
  const also = dropped + before;
  if (missing.length === 0)
    return { name: 'ledger', status: 'ok', detail: `every report is accounted for${also}` };
  const where = firstFew(
    missing.map((ledger) => `${ledger.site}: ${ledger.missingRanges[0]} (${ledger.missing} in all)`),
    MOST_NAMED,
  );
  return {
    name: 'ledger',
    // What is still being read is not lost.
    status: hearing.caughtUp ? 'failed' : 'warning',
    detail: `reports are missing at ${missing.length} sites: ${where}${also}`,
    remedy: hearing.caughtUp
      ? 'if the hub came back from a backup, `plumbline restore` takes note of it; else this must not happen: keep the data directory and the logs, and report it'
      : 'they may still be in the log: ask again once everything has been read',
  };
}

export async function diskCheck(dataDir: string | null): Promise<Check[]> {
  if (dataDir === null) return [];
  const { bavail, blocks, bsize } = await statfs(dataDir);
  const free = bavail * bsize;
  const detail = `${(free / 1e9).toFixed(1)} GB (${Math.round((bavail / Math.max(1, blocks)) * 100)}%) free at ${dataDir}`;
  if (free > LEAST_FREE_BYTES && bavail / Math.max(1, blocks) > LEAST_FREE_RATIO)
    return [{ name: 'disk', status: 'ok', detail }];
  return [
    {
      name: 'disk',
      status: free < LEAST_FREE_BYTES / 4 ? 'failed' : 'warning',
      detail,
      remedy: 'make room, or move the data directory (PLUMBLINE_DATA_DIR)',
    },
  ];
}
