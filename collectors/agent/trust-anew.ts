import { type Memory, readState, writeState } from './state.ts';

/** Older than whatever a hub publishes. */
const UNSEEN = { epoch: 1, n: 0 };

/**
 * For a site whose owner had it join again: it believes the hub that it joined now, whichever keys and versions it has heard
 * before. What is in force stays until that hub speaks of it, whatever labels it gives the site meanwhile; also when the site
 * has forgotten that it put anything there, but `isHeld`: it left what holds the machine to its policies over a restart.
 */
export function trustAnew(memory: Memory, isHeld: boolean): void {
  const state = readState(memory);
  const isForgotten = isHeld && !state.touched;
  if (!isForgotten && state.keys === null && state.targets.length === 0) return;
  const targets = state.targets.map((held) => ({
    ...held,
    body: { ...held.body, version: UNSEEN },
    orphaned: true,
  }));
  const anew = { ...state, keys: null, site: null, targets, refused: [], irremovable: [], doubted: [] };
  writeState(memory, isForgotten ? { ...anew, touched: true, isLost: true } : anew);
}
