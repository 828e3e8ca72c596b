import { lookup } from 'node:dns';
import { isIP } from 'node:net';
import type { Clock } from '../../core/ports/clock.ts';

const FRESH_MS = 30_000;
/**
 * getaddrinfo holds a thread of the pool until it gives up, which takes half a minute when the resolver is dead; two at a
 * time leave the pool to the files that other probes read.
 */
const MAX_ASKING = 2;

export type LookUp = (host: string) => Promise<{ ok: true; address: string } | { ok: false; why: string }>;

/** Names to addresses, one question a name at a time, its answer kept for half a minute. */
export function createLookUp(clock: Clock): LookUp {
  const known = new Map<string, { address: string; atMs: number }>();
  const asking = new Map<string, ReturnType<LookUp>>();

  function ask(host: string): ReturnType<LookUp> {
    return new Promise((resolve) => {
      lookup(host, (error, address) => {
        asking.delete(host);
        if (error === null) {
          known.set(host, { address, atMs: clock.monoMs() });
          resolve({ ok: true, address });
        } else
          resolve({
            ok: false,
            why: error.code === 'ENOTFOUND' ? `the name ${host} is not known` : `DNS failed (${error.code})`,
          });
      });
    });
  }

  return async (host) => {
    if (isIP(host) !== 0) return { ok: true, address: host };
    const found = known.get(host);
    if (found !== undefined && clock.monoMs() - found.atMs < FRESH_MS)
      return { ok: true, address: found.address };
    const pending = asking.get(host);
    if (pending !== undefined) return pending;
    if (asking.size >= MAX_ASKING) return { ok: false, why: 'DNS does not answer' };
    const answer = ask(host);
    asking.set(host, answer);
    return answer;
  };
}
