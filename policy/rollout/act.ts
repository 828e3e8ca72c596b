import type { RolloutAction } from '../../core/model/rollout.ts';
import { isOnItsWay, isUnverified } from '../../core/policy/busy.ts';
import {
  assignedOf,
  nextVersion,
  type RolloutSpec,
  type RolloutStage,
  stageOf,
  versioned,
  withStage,
} from './assigned.ts';
import { passedBy } from './promoted.ts';
import { skipAudits, startStage } from './start.ts';
import { nameOf, type Told } from './told.ts';

export type Acted = { ok: true; spec: RolloutSpec; told: Told[] } | { ok: false; detail: string };

/** What a person asks of a rollout, who is `by`. Who may is decided elsewhere. */
export function act(spec: RolloutSpec, action: RolloutAction, by: string, nowMs: number): Acted {
  const acted = ACTIONS[action](spec, nowMs, by);
  return acted.ok ? { ...acted, spec: versioned(spec, acted.spec) } : acted;
}

const ACTIONS: Record<RolloutAction, (spec: RolloutSpec, nowMs: number, by: string) => Acted> = {
  promote,
  pause,
  resume,
  rollback: (spec, nowMs, by) => {
    if (spec.phase === 'completed' || spec.phase === 'rolled-back')
      return refuse(spec, 'roll back', 'apply the earlier content again to return to it');
    return { ok: true, ...rollBack(spec, `rolled back by ${by}`, nowMs, ` by ${by}`) };
  },
  retry,
};

function promote(spec: RolloutSpec, nowMs: number, by: string): Acted {
  const { status } = stageOf(spec);
  if (spec.phase !== 'awaiting-promotion')
    return refuse(spec, 'promote', 'only a stage that has passed is promoted from');
  if (status.phase === 'waiting') return promoted(spec, `to ${placeOf(status)}`, nowMs, by);
  const moved = skipAudits({ ...promoteStage(spec, nowMs), stage: spec.stage + 1 });
  const way = `from ${placeOf(status)} to ${placeOf(stageOf(moved).status)}`;
  return promoted(moved, way, nowMs, by);
}

function promoted(spec: RolloutSpec, way: string, nowMs: number, by: string): Acted {
  const started = startStage(spec, nowMs);
  const { virtualSite } = stageOf(spec).status;
  const message = `${nameOf(spec)} is promoted ${way} by ${by}`;
  return {
    ok: true,
    spec: started.spec,
    told: [{ kind: 'rollout.promoted', virtualSite, message }, ...started.told],
  };
}

function placeOf({ virtualSite, mode }: RolloutStage): string {
  return `${virtualSite} (${mode})`;
}

/** What the stage brought is what its virtual site runs from now on. */
export function promoteStage(spec: RolloutSpec, nowMs: number): RolloutSpec {
  const { status } = stageOf(spec);
  const { virtualSite } = status;
  const others = spec.promoted.filter((one) => one.virtualSite !== virtualSite);
  const ended = { ...status, endedAtMs: status.endedAtMs ?? nowMs };
  const promoted = [...others, { virtualSite, assigned: assignedOf(spec), ...passedBy(spec, ended) }];
  return withStage({ ...spec, promoted, threshold: 0 }, ended);
}

function pause(spec: RolloutSpec, _nowMs: number, by: string): Acted {
  if (spec.phase !== 'progressing' && spec.phase !== 'awaiting-promotion')
    return refuse(spec, 'pause', 'nothing is on its way');
  return { ok: true, ...paused(spec, `paused by ${by}`, ` by ${by}`) };
}

/** `said` is what the event says of it, the reason unless told. */
export function paused(
  spec: RolloutSpec,
  reason: string,
  said = `: ${reason}`,
): { spec: RolloutSpec; told: Told[] } {
  const { virtualSite } = stageOf(spec).status;
  const message = `${nameOf(spec)} is paused at ${virtualSite}${said}`;
  return {
    spec: { ...spec, phase: 'paused', reason: reason.slice(0, 500) },
    told: [{ kind: 'rollout.paused', virtualSite, message }],
  };
}

function resume(spec: RolloutSpec, nowMs: number, by: string): Acted {
  const { status, plan } = stageOf(spec);
  if (spec.phase !== 'paused') return refuse(spec, 'resume', 'only a paused rollout is resumed');
  if (status.phase === 'failed')
    return refuse(spec, 'resume', 'its stage has failed; retry it or roll it back');
  const waits = status.phase === 'passed' || status.phase === 'waiting';
  const resumed = withStage(
    { ...spec, phase: waits ? 'awaiting-promotion' : 'progressing', reason: '' },
    { ...status, deadlineAtMs: nowMs + plan.progressDeadlineMs },
  );
  const message = `${nameOf(spec)} goes on at ${status.virtualSite}, resumed by ${by}`;
  const told: Told = { kind: 'rollout.resumed', virtualSite: status.virtualSite, message };
  return { ok: true, spec: resumed, told: [told] };
}

/** The virtual site of the stage returns to what it was promoted to last; those of earlier stages keep what they have. */
export function rollBack(
  spec: RolloutSpec,
  reason: string,
  nowMs: number,
  said = `: ${reason}`,
): { spec: RolloutSpec; told: Told[] } {
  const { status } = stageOf(spec);
  const current = spec.promoted.find(({ virtualSite }) => virtualSite === status.virtualSite);
  const back =
    current === undefined
      ? 'is without this policy again'
      : `returns to generation ${current.assigned.generation}`;
  const rolledBack = withStage(
    { ...spec, phase: 'rolled-back', reason: reason.slice(0, 500), threshold: 0 },
    { ...status, phase: 'rolled-back', endedAtMs: nowMs },
  );
  const message = `${nameOf(spec)} is rolled back at ${status.virtualSite}, which ${back}${said}`;
  return {
    spec: rolledBack,
    told: [{ kind: 'rollout.rolled-back', virtualSite: status.virtualSite, message }],
  };
}

/**
 * Sites that refused what they were assigned try it again, wherever the policy is. A stage that has not passed and its
 * evidence begin anew; sites that have it already keep it. One that has passed stays so.
 */
function retry(spec: RolloutSpec, nowMs: number, by: string): Acted {
  const { status } = stageOf(spec);
  const { virtualSite } = status;
  const isBegun = spec.phase === 'rolled-back' || isUnverified(spec);
  const isSomewhere = spec.promoted.length > 0 || isOnItsWay(spec);
  if (!isBegun && !isSomewhere) return refuse(spec, 'retry', 'it was begun nowhere yet');
  const tried = triedAgain(spec);
  if (!isBegun) {
    const message = `${nameOf(spec)} is tried again by ${by} at sites that refused it`;
    return { ok: true, spec: tried, told: [{ kind: 'rollout.retried', virtualSite, message }] };
  }
  const failedDigests = spec.failedDigests.filter((digest) => digest !== spec.digest);
  const begun = startStage({ ...tried, failedDigests }, nowMs);
  const threshold = Math.max(begun.spec.threshold, spec.threshold);
  const message = `${nameOf(spec)} is tried again at ${virtualSite} by ${by}`;
  const told: Told = { kind: 'rollout.retried', virtualSite, message };
  return { ok: true, spec: { ...begun.spec, threshold }, told: [told, ...begun.told] };
}

/** Under a newer attempt. Sites that failed in a stage that has passed have no verdict until they are judged by that. */
function triedAgain(spec: RolloutSpec): RolloutSpec {
  const attempt = nextVersion(spec.version);
  const stages = spec.stages.map((one, i) => ({
    ...(one.phase === 'passed' ? unjudged(one) : one),
    attempt: i < spec.stage ? one.attempt : attempt,
  }));
  const promoted = spec.promoted.map((one) => ({ ...one, assigned: { ...one.assigned, attempt } }));
  return { ...spec, stages, promoted };
}

function unjudged(stage: RolloutStage): RolloutStage {
  const { failed, inconclusive } = stage.counts;
  return { ...stage, counts: { ...stage.counts, failed: 0, inconclusive: inconclusive + failed } };
}

function refuse(spec: RolloutSpec, verb: string, why: string): Acted {
  const at = stageOf(spec).status;
  return {
    ok: false,
    detail: `${nameOf(spec)} is ${spec.phase} (stage ${spec.stage + 1}, ${at.virtualSite}, ${at.phase}), and there is nothing to ${verb}: ${why}`,
  };
}
