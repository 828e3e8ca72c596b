import { setTimeout as sleep } from 'node:timers/promises';
import type { Ledger } from '../../core/model/view.ts';
import type { RouteParts } from '../routes/parts.ts';
import { readLedgers } from './read-ledgers.ts';

/** What is on its way between log and store is looked for again before it is called missing. */
const LOOKS = 3;
const LOOK_AGAIN_MS = 1000;

type Parts = Pick<RouteParts, 'store' | 'fleet' | 'directory'>;

/** Where every report of every registered site is. */
export async function settledLedgers(parts: Parts): Promise<Ledger[]> {
  let ledgers = await registeredLedgers(parts);
  for (let look = 1; look < LOOKS && ledgers.some(({ missing }) => missing > 0); look++) {
    await sleep(LOOK_AGAIN_MS);
    ledgers = await registeredLedgers(parts);
  }
  return ledgers;
}

async function registeredLedgers({ store, fleet, directory }: Parts): Promise<Ledger[]> {
  const ledgers = await readLedgers(store, [], directory().issuer?.spec ?? {});
  return fleet()
    .ids()
    .flatMap((site) => ledgers.get(site) ?? []);
}
