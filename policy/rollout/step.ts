import { MOST_FAILED_DIGESTS } from '../../core/model/rollout.ts';
import { plural } from '../../core/plural.ts';
import { isOnItsWay } from '../../core/policy/busy.ts';
import { EVERYBODY } from '../../core/policy/desired-state.ts';
import type { StageVerdict } from '../../core/policy/evidence.ts';
import { onFailure } from '../../core/policy/strategy.ts';
import { paused, promoteStage, rollBack } from './act.ts';
import { HUB_ITSELF, withAct } from './acts.ts';
import { type RolloutSpec, stageOf, versioned, withStage } from './assigned.ts';
import { nextThreshold } from './threshold.ts';
import { nameOf, type Told } from './told.ts';

/** Where a site of the stage stands, as its newest report says. */
export type SiteStanding = {
  site: string;
  /** Its newest report is fresh and speaks of policies. */
  isReachable: boolean;
  /** It has what the stage brings confirmed and in force, or has said for good why not. */
  isSettled: boolean;
  /** It has what the stage brings in force. */
  isApplied: boolean;
  /** It was heard after the stage began. */
  isHeardSince: boolean;
};

export type Seen = {
  /** Every site that the stage is about. */
  sites: readonly SiteStanding[];
  /** Of an evaluation made now of the stage as it is; null when none was due. */
  verdict: StageVerdict | null;
  /** The shortest soak that the virtual site's guard allows. */
  minSoakMs: number;
  /** False while policy is read-only: then it is only paused or rolled back. */
  mayGoOn: boolean;
};

export type Stepped = { spec: RolloutSpec; told: Told[] };

/**
 * What becomes of a rollout in the light of what is seen. Pure: the same rollout, seen and time come to the same. Never does
 * it go on without a pass; what it does when in doubt is nothing, and at its deadline a pause.
 */
export function step(spec: RolloutSpec, seen: Seen, nowMs: number): Stepped {
  if (!isOnItsWay(spec) || stageOf(spec).status.phase === 'failed') return { spec, told: [] };
  const looked = look(spec, seen, nowMs);
  const stepped = decide(looked, seen, nowMs);
  return { ...stepped, spec: noted(spec, versioned(spec, stepped.spec), nowMs) };
}

/** What it did that a person could have done too is told among what people did. */
function noted(before: RolloutSpec, after: RolloutSpec, atMs: number): RolloutSpec {
  const { phase, reason: why } = after;
  if (phase === before.phase || (phase !== 'paused' && phase !== 'rolled-back')) return after;
  return withAct(after, { act: phase === 'paused' ? 'pause' : 'rollback', atMs, ...HUB_ITSELF, why });
}

/** Notes what is seen. */
function look(spec: RolloutSpec, { sites, verdict }: Seen, nowMs: number): RolloutSpec {
  const { status } = stageOf(spec);
  const counts = {
    ...status.counts,
    sites: sites.length,
    applied: sites.filter(({ isApplied }) => isApplied).length,
  };
  // What it passed with stands until a fail: that a collector restarts afterwards takes nothing back.
  if (verdict === null || (status.phase === 'passed' && verdict.verdict !== 'fail'))
    return withStage(spec, { ...status, counts });
  const count = (wanted: string) => verdict.sites.filter((one) => one.verdict === wanted).length;
  return withStage(spec, {
    ...status,
    counts: {
      ...counts,
      passed: count('pass'),
      failed: count('fail'),
      inconclusive: count('inconclusive'),
      notApplicable: count('not-applicable'),
    },
    verdict: verdict.verdict,
    reasons: verdict.reasons.slice(0, 16).map(({ text }) => text.slice(0, 300)),
    hits: verdict.hits,
    unexpectedDenies: verdict.unexpectedDenies,
    evaluatedAtMs: nowMs,
  });
}

function decide(spec: RolloutSpec, seen: Seen, nowMs: number): Stepped {
  const { status } = stageOf(spec);
  // A fail counts at any time until the stage was promoted on, also while somebody has paused it.
  if (seen.verdict?.verdict === 'fail') return fail(spec, nowMs);
  if (spec.phase !== 'progressing') return { spec, told: [] };
  if (seen.sites.length === 0)
    return paused(spec, `no site is in ${status.virtualSite}, so that nothing can be shown there`);
  const rolled = seen.mayGoOn && status.phase === 'rolling' ? roll(spec, seen) : spec;
  if (seen.mayGoOn && hasPassed(rolled, seen, nowMs)) return pass(rolled, nowMs);
  if (status.deadlineAtMs !== null && nowMs >= status.deadlineAtMs)
    return paused(
      rolled,
      `stage ${spec.stage + 1} reached its progressDeadline without a verdict that lets it go on (${status.reasons[0] ?? status.verdict})`,
    );
  return { spec: rolled, told: [] };
}

/** Raises the threshold as sites confirm; once all have it, and all that can be reached are settled, the soak begins. */
function roll(spec: RolloutSpec, { sites }: Seen): RolloutSpec {
  const { status, plan } = stageOf(spec);
  const threshold = nextThreshold(spec, plan.maxConcurrency, sites);
  const rolled = { ...spec, threshold };
  const isOut = threshold === EVERYBODY && sites.every((one) => one.isSettled || !one.isReachable);
  return isOut && spec.threshold === EVERYBODY ? withStage(rolled, { ...status, phase: 'soaking' }) : rolled;
}

function hasPassed(spec: RolloutSpec, { verdict, minSoakMs }: Seen, nowMs: number): boolean {
  const { status, plan } = stageOf(spec);
  const soakMs = Math.max(plan.soakMs, minSoakMs);
  const isSoaked = status.startedAtMs !== null && nowMs - status.startedAtMs >= soakMs;
  return verdict?.verdict === 'pass' && status.phase === 'soaking' && isSoaked;
}

function pass(spec: RolloutSpec, nowMs: number): Stepped {
  const { status } = stageOf(spec);
  const { virtualSite, counts } = status;
  const passed = withStage(spec, { ...status, phase: 'passed', endedAtMs: nowMs });
  const told: Told = {
    kind: 'rollout.stage-passed',
    virtualSite,
    message: `${nameOf(spec)} passed at ${virtualSite}: ${counts.passed} of ${plural(counts.sites, 'site')} proved it${counts.inconclusive > 0 ? `, ${counts.inconclusive} without proof` : ''}`,
  };
  if (spec.stage + 1 < spec.stages.length)
    return { spec: { ...passed, phase: 'awaiting-promotion' }, told: [told] };
  const completed: RolloutSpec = { ...promoteStage(passed, nowMs), phase: 'completed' };
  const message = `${nameOf(spec)} is complete`;
  return { spec: completed, told: [told, { kind: 'rollout.completed', virtualSite: '', message }] };
}

function fail(spec: RolloutSpec, nowMs: number): Stepped {
  const { status } = stageOf(spec);
  const why = status.reasons.slice(0, 2).join('; ').slice(0, 400) || 'the evidence says so';
  const others = spec.failedDigests.filter((one) => one !== spec.digest);
  const failedDigests = [...others, spec.digest].slice(-MOST_FAILED_DIGESTS);
  const failed = withStage({ ...spec, failedDigests }, { ...status, phase: 'failed', endedAtMs: nowMs });
  const told: Told = {
    kind: 'rollout.stage-failed',
    virtualSite: status.virtualSite,
    message: `${nameOf(spec)} failed at ${status.virtualSite}: ${why}`,
  };
  const then =
    onFailure(spec.strategy) === 'pause'
      ? paused(failed, `its stage failed: ${why}`)
      : rollBack(failed, `its stage failed: ${why}`, nowMs);
  return { spec: then.spec, told: [told, ...then.told] };
}
