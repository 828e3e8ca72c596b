import { EVERYBODY, hashOf } from '../../core/policy/desired-state.ts';
import { digestOf } from '../../core/policy/digest.ts';
import type { StagePlan } from '../../core/policy/strategy.ts';
import type { RolloutSpec } from './assigned.ts';
import type { SiteStanding } from './step.ts';

/** What orders the sites of a rollout; another generation takes them in another order. */
export function seedOf({ policy, generation }: RolloutSpec): string {
  return digestOf([policy.kind, policy.name, generation]).slice(0, 22);
}

/**
 * How far the stage may go: at most so many sites have it without having settled. One that was never heard since the stage
 * began does not count, since it would hold the others up for as long as it is away; one that fell silent after does.
 * The threshold never falls. Sites whose hashes are the same go together.
 */
export function nextThreshold(
  spec: RolloutSpec,
  maxConcurrency: StagePlan['maxConcurrency'],
  sites: readonly SiteStanding[],
): number {
  if (spec.threshold === EVERYBODY) return EVERYBODY;
  const most =
    'sites' in maxConcurrency ? maxConcurrency.sites : Math.floor(maxConcurrency.share * sites.length);
  const seed = seedOf(spec);
  const ordered = sites
    .map((standing) => ({ ...standing, hash: hashOf(standing.site, seed) }))
    .sort((a, b) => a.hash - b.hash);
  let left = Math.max(1, most);
  let threshold = spec.threshold;
  for (let i = 0; i < ordered.length; i++) {
    const one = ordered[i];
    if (one === undefined) break;
    const isCounted = !one.isSettled && (one.isReachable || one.isHeardSince);
    if (isCounted && left === 0 && one.hash >= threshold) return threshold;
    if (isCounted) left = Math.max(0, left - 1);
    threshold = Math.max(threshold, one.hash + 1);
  }
  return EVERYBODY;
}
