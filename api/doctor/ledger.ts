import type { Ledger } from '../../core/model/view.ts';
import { type Range, sizeOf, without } from './ranges.ts';

/** What is known of one boot of a site. Numbers begin at 1. */
export type BootRecord = {
  boot: string;
  /** The largest number that the boot is known to have used: by its own reports, or by the word of the boot after it. */
  last: number;
  stored: readonly Range[];
  /** By authentic reports, or by others; what is stored too counts as stored. */
  quarantined: readonly Range[];
  dropped: readonly Range[];
  /** Numbers below it were used before the hub was restored from a backup, so that what it lacks of them is lost. */
  lostBelow: number;
};

/** The oldest report that the site still held when it made its newest stored one. */
export type Held = { boot: string; seq: number };

const MAX_RANGES = 20;

/**
 * Puts boots whose time is not known among those in the order they happened: each before the first of a higher count.
 * The others stay as they are, since a site may have begun its count anew.
 */
export function placed<B extends BootRecord>(ordered: readonly B[], untimed: readonly B[]): B[] {
  const boots = [...ordered];
  for (const one of untimed) {
    const at = boots.findIndex(({ boot }) => boot > one.boot);
    boots.splice(at < 0 ? boots.length : at, 0, one);
  }
  return boots;
}

/**
 * Where every report of a site is. Boots come in the order they happened. Each number is counted once, in the first that
 * applies of: stored, quarantined, dropped at the site (a gap), still held there, lost by a restore, missing.
 */
export function reconcile(site: string, boots: readonly BootRecord[], held: Held | null): Ledger {
  const ledger: Ledger = {
    site,
    boots: boots.length,
    sent: 0,
    stored: 0,
    quarantined: 0,
    pending: 0,
    gaps: 0,
    lost: 0,
    missing: 0,
    missingRanges: [],
  };
  const heldIndex = held === null ? -1 : boots.findIndex(({ boot }) => boot === held.boot);
  for (const [i, { boot, last, stored, quarantined, dropped, lostBelow }] of boots.entries()) {
    const all = last < 1 ? [] : [{ from: 1, to: last }];
    const notStored = without(all, stored);
    const notQuarantined = without(notStored, quarantined);
    const notDropped = without(notQuarantined, dropped);
    const isHeld = held !== null && heldIndex >= 0 && i >= heldIndex;
    const heldFrom = isHeld && i === heldIndex ? held.seq : 1;
    const notHeld = isHeld ? without(notDropped, [{ from: heldFrom, to: last }]) : notDropped;
    const missing = without(notHeld, [{ from: 1, to: lostBelow - 1 }]);
    ledger.sent += sizeOf(all);
    ledger.stored += sizeOf(all) - sizeOf(notStored);
    ledger.quarantined += sizeOf(notStored) - sizeOf(notQuarantined);
    ledger.gaps += sizeOf(notQuarantined) - sizeOf(notDropped);
    ledger.pending += sizeOf(notDropped) - sizeOf(notHeld);
    ledger.lost += sizeOf(notHeld) - sizeOf(missing);
    ledger.missing += sizeOf(missing);
    for (const { from, to } of missing)
      if (ledger.missingRanges.length < MAX_RANGES)
        ledger.missingRanges.push(from === to ? `${boot} #${from}` : `${boot} #${from} to #${to}`);
  }
  return ledger;
}
