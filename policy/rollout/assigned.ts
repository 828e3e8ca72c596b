import { isDeepStrictEqual } from 'node:util';
import type { Allowlist, Rollout } from '../../core/model/rollout.ts';
import type { Assigned, Version } from '../../core/model/signed.ts';
import { isOnItsWay } from '../../core/policy/busy.ts';
import { stagePlan } from '../../core/policy/strategy.ts';

export type RolloutSpec = Rollout['spec'];
export type RolloutStage = RolloutSpec['stages'][number];

/** What one virtual site is to run: what it was promoted to last, and what is on its way to it. */
export type Course = {
  virtualSite: string;
  current: Assigned | null;
  next: Assigned | null;
  threshold: number;
};

/** The stage that a rollout is at, with its plan. There always is one. */
export function stageOf(spec: RolloutSpec): {
  status: RolloutStage;
  plan: ReturnType<typeof stagePlan>;
} {
  const status = spec.stages[spec.stage];
  const stage = spec.strategy.stages[spec.stage];
  if (status === undefined || stage === undefined)
    throw new Error(
      `rollout of ${spec.policy.name} is at stage ${spec.stage} of ${spec.strategy.stages.length}`,
    );
  return { status, plan: stagePlan(stage) };
}

/** What the stage brings to its sites. */
export function assignedOf(spec: RolloutSpec): Assigned {
  const { plan, status } = stageOf(spec);
  const { generation, digest, strategy } = spec;
  const established = strategy.established ?? 'keep';
  const { attempt } = status;
  return { generation, digest, mode: plan.mode, probes: [...plan.probes], established, attempt };
}

export function promotedTo(spec: RolloutSpec, virtualSite: string): Assigned | null {
  return spec.promoted.find((one) => one.virtualSite === virtualSite)?.assigned ?? null;
}

/**
 * All virtual sites that the policy is in, in the order that says to which one a site of two belongs: that of the stages,
 * then those of an earlier strategy, which keep what they have.
 */
export function coursesOf(spec: RolloutSpec): Course[] {
  const names = [
    ...spec.strategy.stages.map(({ virtualSite }) => virtualSite),
    ...spec.promoted.map(({ virtualSite }) => virtualSite),
  ];
  const active = isOnItsWay(spec) ? stageOf(spec).status.virtualSite : null;
  return [...new Set(names)].map((virtualSite) => ({
    virtualSite,
    current: promotedTo(spec, virtualSite),
    next: virtualSite === active ? assignedOf(spec) : null,
    threshold: virtualSite === active ? spec.threshold : 0,
  }));
}

/** Raises the version when sites are to do something else than before; a stage that just began is dated by it. */
export function versioned(before: RolloutSpec, after: RolloutSpec): RolloutSpec {
  const { status } = stageOf(after);
  const isUndated = isOnItsWay(after) && status.version === null;
  if (!isUndated && isDeepStrictEqual(coursesOf(before), coursesOf(after))) return after;
  const { epoch } = after.version;
  const version = nextVersion({ epoch, n: Math.max(before.version.n, after.version.n) });
  return withStage({ ...after, version }, isUndated ? { ...status, version } : status);
}

export function nextVersion({ epoch, n }: Version): Version {
  return { epoch, n: n + 1 };
}

/** With the stage that it is at replaced. */
export function withStage(spec: RolloutSpec, status: RolloutStage): RolloutSpec {
  return { ...spec, stages: spec.stages.map((one, i) => (i === spec.stage ? status : one)) };
}

export const NONE_COUNTED: RolloutStage['counts'] = {
  sites: 0,
  applied: 0,
  passed: 0,
  failed: 0,
  inconclusive: 0,
  notApplicable: 0,
};

export function emptyStages({ stages }: Allowlist['spec']['rollout'], attempt: Version): RolloutStage[] {
  return stages.map((stage) => {
    const { virtualSite, mode } = stagePlan(stage);
    return {
      virtualSite,
      mode,
      phase: 'waiting',
      startedAtMs: null,
      endedAtMs: null,
      deadlineAtMs: null,
      version: null,
      attempt,
      verdict: 'inconclusive',
      reasons: [],
      counts: NONE_COUNTED,
      hits: 0,
      unexpectedDenies: 0,
      evaluatedAtMs: null,
    };
  });
}
