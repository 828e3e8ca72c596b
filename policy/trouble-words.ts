import { firstFew } from '../core/first-few.ts';
import { plural } from '../core/plural.ts';
import type { KeyTrust } from './key-trust.ts';
import type { Hold } from './losses.ts';
import type { Claim } from './seen-versions.ts';
import type { Found } from './troubles.ts';

type Findings = { hold: Hold | null; trust: KeyTrust; claims: readonly Claim[] };

/** Sites in a sentence. */
const MOST_NAMED = 5;

export const PUT_KEY_BACK =
  'put the newest policy.key back into the data directory, from where it is kept apart from the tables, and start the hub again; a site that believes another hub, or none of whose keys is left, joins again with a new token (`plumbline site token`)';

/** What control found to be wrong with policy as a whole, with what to do first in front. */
export function troublesOf({ hold, trust, claims }: Findings): Found[] {
  const found: Found[] = [];
  if (trust.distrusting.length > 0)
    found.push({
      code: 'key-distrusted',
      severity: areMost(trust) ? 'critical' : 'warning',
      detail: distrustText(trust),
      remedy: PUT_KEY_BACK,
    });
  if (hold !== null)
    found.push({
      code: 'read-only',
      severity: 'critical',
      detail: `policy is read-only: ${hold.detail}`,
      remedy: hold.remedy,
    });
  const claiming = new Map(claims.map(({ site, what }) => [site, `${site} (${what})`]));
  if (claiming.size > 0)
    found.push({
      code: 'claim-implausible',
      severity: 'warning',
      detail: `${plural(claiming.size, 'site')} claimed to have seen what no hub can have said, and nobody believes it: ${firstFew([...claiming.values()], MOST_NAMED)}`,
      remedy:
        'see who runs such a site; delete it, or have it join again with a new token (`plumbline site token`)',
    });
  return found;
}

/** Whether the key is more likely wrong than the sites. */
export function areMost({ distrusting, reporting }: KeyTrust): boolean {
  return distrusting.length * 2 > reporting;
}

export function distrustText({ distrusting, reporting }: KeyTrust): string {
  return `${distrusting.length} of ${reporting} sites refuse what this hub signs, since they believe other keys than it has: ${firstFew(distrusting, MOST_NAMED)}`;
}
