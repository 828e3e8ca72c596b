import { setTimeout as sleep } from 'node:timers/promises';
import type { Diagnosis, Ledger } from '../../core/model/view.ts';
import type { RouteParts } from '../routes/parts.ts';
import {
  accountCheck,
  type Check,
  caughtUpCheck,
  clockCheck,
  controlCheck,
  diskCheck,
  quarantineCheck,
  silenceCheck,
  storeCheck,
} from './checks.ts';
import { readLedgers } from './read-ledgers.ts';

/** What is on its way between log and store is looked for again before it is called missing. */
const LOOKS = 3;
const LOOK_AGAIN_MS = 1000;

type Parts = Pick<RouteParts, 'store' | 'clock' | 'hearing' | 'fleet' | 'directory' | 'dataDir'>;

/** Whether all is well, and where every report of every registered site is. */
export async function diagnose(parts: Parts): Promise<Diagnosis> {
  const { store, clock, hearing, directory, dataDir } = parts;
  const fleet = parts.fleet();
  fleet.refresh();
  const entries = [...fleet.entries()];
  const nowMs = clock.nowMs();
  const checks: Check[] = [
    await storeCheck(store, () => clock.monoMs()),
    caughtUpCheck(hearing()),
    controlCheck(directory().hub, nowMs),
  ];
  let sites: Ledger[] = [];
  if (checks[0]?.status === 'ok') {
    sites = await settledLedgers(parts);
    checks.push(accountCheck(sites, hearing()), await quarantineCheck(store, nowMs));
  }
  checks.push(silenceCheck(entries), clockCheck(entries), ...(await diskCheck(dataDir)));
  return {
    healthy: checks.every(({ status }) => status !== 'failed'),
    checks,
    totals: totalsOf(sites),
    sites,
  };
}

async function settledLedgers(parts: Parts): Promise<Ledger[]> {
  let ledgers = await registeredLedgers(parts);
  for (let look = 1; look < LOOKS && ledgers.some(({ missing }) => missing > 0); look++) {
    await sleep(LOOK_AGAIN_MS);
    ledgers = await registeredLedgers(parts);
  }
  return ledgers;
}

async function registeredLedgers({ store, fleet }: Parts): Promise<Ledger[]> {
  const ledgers = await readLedgers(store, []);
  return fleet()
    .ids()
    .flatMap((site) => ledgers.get(site) ?? []);
}

function totalsOf(sites: readonly Ledger[]): Diagnosis['totals'] {
  const totals = { boots: 0, sent: 0, stored: 0, quarantined: 0, pending: 0, gaps: 0, missing: 0 };
  for (const site of sites) {
    totals.boots += site.boots;
    totals.sent += site.sent;
    totals.stored += site.stored;
    totals.quarantined += site.quarantined;
    totals.pending += site.pending;
    totals.gaps += site.gaps;
    totals.missing += site.missing;
  }
  return totals;
}
