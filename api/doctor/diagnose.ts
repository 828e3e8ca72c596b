import type { Diagnosis, Ledger } from '../../core/model/view.ts';
import type { RouteParts } from '../routes/parts.ts';
import {
  accountCheck,
  type Check,
  caughtUpCheck,
  clockCheck,
  controlCheck,
  diskCheck,
  policyChecks,
  quarantineCheck,
  silenceCheck,
  storeCheck,
} from './checks.ts';
import { settledLedgers } from './settled-ledgers.ts';

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
    ...policyChecks(directory().hub),
  ];
  let sites: Ledger[] = [];
  if (checks[0]?.status === 'ok') {
    sites = await settledLedgers(parts);
    const restoredAtMs = directory().issuer?.spec.restoredAtMs ?? null;
    checks.push(accountCheck(sites, hearing(), restoredAtMs), await quarantineCheck(store, nowMs));
  }
  checks.push(silenceCheck(entries), clockCheck(entries), ...(await diskCheck(dataDir)));
  return {
    healthy: checks.every(({ status }) => status !== 'failed'),
    checks,
    totals: totalsOf(sites),
    sites,
  };
}

function totalsOf(sites: readonly Ledger[]): Diagnosis['totals'] {
  const totals = { boots: 0, sent: 0, stored: 0, quarantined: 0, pending: 0, gaps: 0, lost: 0, missing: 0 };
  for (const site of sites) {
    totals.boots += site.boots;
    totals.sent += site.sent;
    totals.stored += site.stored;
    totals.quarantined += site.quarantined;
    totals.pending += site.pending;
    totals.gaps += site.gaps;
    totals.lost += site.lost;
    totals.missing += site.missing;
  }
  return totals;
}
