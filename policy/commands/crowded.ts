import type { Site } from '../../core/model/resource.ts';
import { MAX_POLICIES_A_SITE } from '../../core/model/signed.ts';
import { policyCount } from '../../core/policy/policy-count.ts';
import type { Registered } from '../registry.ts';
import { coursesOf } from '../rollout/assigned.ts';
import { type Outcome, refuse } from './outcome.ts';

/**
 * One of these sites that would have more policies than a site takes, and more than it has `before`; null when none would.
 * What a strategy says of it is judged with the strategy (core/policy/stage-faults.ts).
 */
export function crowded(sites: Iterable<Site>, before: Registered, after: Registered): Outcome | null {
  const policies = [...after.allRollouts()].map(({ spec }) => ({
    virtualSites: coursesOf(spec).map(({ virtualSite }) => virtualSite),
  }));
  if (policies.length <= MAX_POLICIES_A_SITE) return null;
  const had = policyCount(policies, before);
  const has = policyCount(policies, after);
  for (const { metadata, spec } of sites) {
    const count = has(spec.labels);
    const known = before.site(metadata.name);
    if (count <= MAX_POLICIES_A_SITE || (known !== undefined && count <= had(known.spec.labels))) continue;
    return refuse(
      'too-large',
      `site ${metadata.name} would have ${count} policies, and ${MAX_POLICIES_A_SITE} is the most that a site takes; delete those that it does not need, or join several into one first`,
    );
  }
  return null;
}
