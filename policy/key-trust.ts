import type { Site } from '../core/model/resource.ts';
import { compareVersions, type Version } from '../core/model/signed.ts';
import type { SiteState } from '../core/model/site-state.ts';

/** Keys of the data directory by id, oldest first; the last one signs. `version` is that of the keyring that is published. */
export type OwnKeys = { ids: readonly string[]; version: Version | null };
/** Sites that refuse what this hub signs, and how many there are that report policies, also those that believe nobody yet. */
export type KeyTrust = { distrusting: readonly string[]; reporting: number };

export const NOBODY_DISTRUSTS: KeyTrust = { distrusting: [], reporting: 0 };

/**
 * Which sites believe nothing that this hub signs, nor will follow to a key by which it does: those that were told of other
 * keys by one they believed, as when the hub came back from a backup from before its keys were rotated, and those that
 * believe another hub. One that only has not heard of the newest key yet believes one before it, which vouches for that.
 */
export function keyTrust(
  sites: ReadonlyMap<string, Site>,
  states: ReadonlyMap<string, SiteState>,
  { ids, version }: OwnKeys,
): KeyTrust {
  const signer = ids.at(-1);
  if (signer === undefined) return NOBODY_DISTRUSTS;
  const distrusting: string[] = [];
  let reporting = 0;
  for (const [site, { keyring, policies }] of states) {
    if ((keyring ?? policies) === undefined || !sites.has(site)) continue;
    reporting += 1;
    if (keyring === undefined) continue;
    if (keyring.ids.includes(signer)) continue;
    const isOlder = version !== null && compareVersions(keyring.version, version) < 0;
    if (isOlder && keyring.ids.some((id) => ids.includes(id))) continue;
    distrusting.push(site);
  }
  return { distrusting: distrusting.sort(), reporting };
}
