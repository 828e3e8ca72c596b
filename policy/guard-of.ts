import type { VirtualSiteSpec } from '../core/model/resource.ts';
import type { Assignment } from '../core/model/signed.ts';
import { durationMs } from '../core/policy/strategy.ts';

/** The rails that a site checks, as they travel in a target. */
export function guardOf({ guard }: VirtualSiteSpec): Assignment['guard'] {
  return { forbidden: guard?.forbidden ?? [], widestCidr: guard?.widestCidr ?? null };
}

export function minSoakMs({ guard }: VirtualSiteSpec): number {
  return guard?.minSoak === undefined ? 0 : durationMs(guard.minSoak);
}
