import { compareVersions } from '../../core/model/signed.ts';
import type { SiteState } from '../../core/model/site-state.ts';
import { assignedOf, type RolloutSpec, stageOf } from './assigned.ts';
import type { SiteStanding } from './step.ts';

type PolicyStanding = NonNullable<SiteState['policies']>[number];

/** Said for good: nothing more comes of it until somebody changes something. */
const SETTLED: ReadonlySet<PolicyStanding['phase']> = new Set([
  'refused',
  'not-applicable',
  'off',
  'disarmed',
]);

/** How a site stands to the stage of a rollout, by the newest that it said. */
export function standingOf(
  site: string,
  state: SiteState | undefined,
  isFresh: boolean,
  spec: RolloutSpec,
): SiteStanding {
  const { startedAtMs } = stageOf(spec).status;
  const policy = policyIn(state, spec);
  const isHeardSince = state !== undefined && startedAtMs !== null && state.receivedAtMs > startedAtMs;
  const isApplied = policy !== undefined && isStageHere(policy, spec) && policy.phase === 'applied';
  const isOff = state?.enforcement === 'off' || state?.enforcement === 'disarmed';
  const hasSaidWhyNot = policy !== undefined && hasSeen(policy, spec) && SETTLED.has(policy.phase);
  return {
    site,
    isReachable: isFresh && state?.policies !== undefined,
    isSettled: isApplied || hasSaidWhyNot || isOff,
    isApplied,
    isHeardSince,
  };
}

/** Whether what it says can only come to a fail, so that nobody has to wait for the next evaluation to find it. */
export function showsFail(state: SiteState | undefined, spec: RolloutSpec): boolean {
  const policy = policyIn(state, spec);
  if (policy === undefined || !isStageHere(policy, spec)) return false;
  const { maxUnexpectedDenies } = stageOf(spec).plan;
  const { phase, unexpectedDenies } = policy;
  return phase === 'refused' || unexpectedDenies > maxUnexpectedDenies;
}

/** Whether it has said anything of the policy since it had the target that began the stage. */
export function hasMet(state: SiteState | undefined, spec: RolloutSpec): boolean {
  const policy = policyIn(state, spec);
  return policy !== undefined && hasSeen(policy, spec);
}

function policyIn(state: SiteState | undefined, { policy }: RolloutSpec): PolicyStanding | undefined {
  return state?.policies?.find(({ kind, name }) => kind === policy.kind && name === policy.name);
}

function hasSeen({ seen }: PolicyStanding, spec: RolloutSpec): boolean {
  const { version } = stageOf(spec).status;
  return version !== null && compareVersions(seen, version) >= 0;
}

function isStageHere(policy: PolicyStanding, spec: RolloutSpec): boolean {
  const { generation, digest, mode } = assignedOf(spec);
  const isSame = policy.generation === generation && policy.digest === digest && policy.mode === mode;
  return isSame && hasSeen(policy, spec);
}
