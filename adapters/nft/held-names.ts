import type { Names } from '../../core/dataplane/nftables/commands.ts';
import { NAME_KEEP_S, NAME_SET_SIZE } from '../../core/dataplane/nftables/compile.ts';
import type { Known } from '../../core/dataplane/nftables/differences.ts';
import type { Listing } from '../../core/dataplane/nftables/listing.ts';
import type { Model } from '../../core/dataplane/nftables/model.ts';
import { canonicalAddress } from '../../core/policy/destination.ts';

/** Addresses in the sets of names and when each runs out, on the clock that never steps. By name and address. */
export type HeldNames = ReadonlyMap<string, ReadonlyMap<string, number>>;

/** Kernel and process do not count to the same moment. */
const FADING_MS = 5000;

/**
 * What the sets of `model` are to hold: what they did, and `wanted` of what they did not. With a listing, those of `wanted`
 * that an earlier process of this site left in the table keep the time that they have there. Of what else lies in it nobody
 * knows who put it there: it goes.
 */
export function heldFor(
  model: Model,
  before: HeldNames,
  wanted: ReadonlyMap<string, readonly string[]>,
  left: Listing | null,
  nowMs: number,
): HeldNames {
  const held = new Map<string, Map<string, number>>();
  for (const { name, meaning } of model.sets) {
    if (meaning.kind !== 'name') continue;
    const { host, family } = meaning;
    const addresses = held.get(host) ?? alive(before.get(host), nowMs);
    held.set(host, addresses);
    const given = (wanted.get(host) ?? []).flatMap((text) => canonicalAddress(text) ?? []);
    const known = new Set(given.map(({ address }) => address));
    for (const { key, expiresS } of left?.sets.get(name)?.elements ?? []) {
      const address = canonicalAddress(String(key[0]))?.address;
      if (address !== undefined && known.has(address))
        addresses.set(address, nowMs + (expiresS ?? NAME_KEEP_S) * 1000);
    }
    for (const { address } of given.filter((one) => one.family === family))
      if (!addresses.has(address) && room(addresses, family))
        addresses.set(address, nowMs + NAME_KEEP_S * 1000);
  }
  return held;
}

/**
 * What of a look-up has to be stored: new addresses, and those of whose time a tenth is over. `evicted`: those that make room
 * for it, which are the ones that look-ups have not given for longest.
 */
export function toLearn(
  held: ReadonlyMap<string, number>,
  addresses: readonly string[],
  keepS: number,
  nowMs: number,
): { addresses: Map<string, number>; evicted: string[] } {
  const learned = new Map<string, number>();
  const evicted: string[] = [];
  const all = alive(held, nowMs);
  for (const found of addresses.flatMap((text) => canonicalAddress(text) ?? [])) {
    const until = all.get(found.address);
    if (until !== undefined && until - nowMs >= keepS * 900) continue;
    if (until === undefined && !room(all, found.family)) {
      const oldest = soonest(all, found.family, learned);
      // More than a set holds in one answer.
      if (oldest === null) continue;
      all.delete(oldest);
      evicted.push(oldest);
    }
    all.set(found.address, nowMs + keepS * 1000);
    learned.set(found.address, keepS);
  }
  return { addresses: learned, evicted };
}

/** Whole seconds that are left of each. */
export function keepsOf(held: HeldNames, nowMs: number): Names {
  return mapped(held, (until) => Math.max(1, Math.ceil((until - nowMs) / 1000)), nowMs);
}

export function knownOf(held: HeldNames, nowMs: number): Known {
  return mapped(
    held,
    (until) => (until - nowMs < FADING_MS ? ('fading' as const) : ('sure' as const)),
    nowMs - FADING_MS,
  );
}

function mapped<T>(held: HeldNames, of: (until: number) => T, fromMs: number): Map<string, Map<string, T>> {
  const result = new Map<string, Map<string, T>>();
  for (const [host, addresses] of held)
    result.set(host, new Map([...alive(addresses, fromMs)].map(([address, until]) => [address, of(until)])));
  return result;
}

function alive(addresses: ReadonlyMap<string, number> | undefined, nowMs: number): Map<string, number> {
  return new Map([...(addresses ?? [])].filter(([, until]) => until > nowMs));
}

/** Of a family, the one that runs out first, and is not of this look-up. */
function soonest(
  addresses: ReadonlyMap<string, number>,
  family: 4 | 6,
  learned: ReadonlyMap<string, number>,
): string | null {
  let oldest: [string, number] | null = null;
  for (const [address, until] of addresses) {
    if (address.includes(':') !== (family === 6) || learned.has(address)) continue;
    if (oldest === null || until < oldest[1]) oldest = [address, until];
  }
  return oldest === null ? null : oldest[0];
}

function room(addresses: ReadonlyMap<string, number>, family: 4 | 6): boolean {
  let count = 0;
  for (const address of addresses.keys()) if (address.includes(':') === (family === 6)) count++;
  return count < NAME_SET_SIZE;
}
