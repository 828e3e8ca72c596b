import { createHash } from 'node:crypto';
import type { Learned, NameResolver } from '../../core/ports/name-resolver.ts';

const KEEP_S = 24 * 3600;
/** Of those 24 hours; long before they are over. */
const RENEW_EVERY_MS = 3_600_000;

/** Two addresses of every name, from 198.18.0.0/15 (RFC 2544), which no real host has; the same ones at every site. */
export function addressesOf(host: string): readonly [string, string] {
  const known = given.get(host);
  if (known !== undefined) return known;
  const addresses = derived(host);
  for (const oldest of given.keys()) if (given.size >= MOST_GIVEN) given.delete(oldest);
  given.set(host, addresses);
  return addresses;
}
const given = new Map<string, readonly [string, string]>();
const MOST_GIVEN = 4096;

function derived(host: string): readonly [string, string] {
  const digest = createHash('sha256').update(host).digest();
  const at = (i: number) => `198.${18 + (digest.readUInt8(i) & 1)}.${digest[i + 1]}.${digest[i + 2]}`;
  return [at(0), at(3)];
}

export type SimulatedNames = NameResolver & {
  /** Has what is in use let through for longer, when it is time: there is no timer. */
  renew(monoMs: number): void;
};

/** A resolver that answers every question at once. */
export function createNames(): SimulatedNames {
  let watched: readonly string[] = [];
  let tell: (learned: Learned) => Promise<void> = async () => undefined;
  let renewedAtMonoMs: number | null = null;
  const known = new Map<string, readonly string[]>();
  const names = new Map<string, string[]>();
  return {
    async start() {},
    async stop() {},
    async watch(hosts) {
      watched = hosts;
      for (const host of hosts) {
        if (known.has(host)) continue;
        const addresses = addressesOf(host);
        known.set(host, addresses);
        for (const address of addresses) names.set(address, [...(names.get(address) ?? []), host]);
      }
    },
    known: () => known,
    namesOf: (address) => names.get(address) ?? [],
    onLearned(listener) {
      tell = listener;
    },
    renew(monoMs) {
      renewedAtMonoMs ??= monoMs;
      if (monoMs - renewedAtMonoMs < RENEW_EVERY_MS) return;
      renewedAtMonoMs = monoMs;
      for (const host of watched) void tell({ host, addresses: addressesOf(host), keepS: KEEP_S });
    },
  };
}
