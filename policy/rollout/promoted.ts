import { isDeepStrictEqual } from 'node:util';
import { compareVersions } from '../../core/model/signed.ts';
import { isOnItsWay } from '../../core/policy/busy.ts';
import type { StageVerdict } from '../../core/policy/evidence.ts';
import { assignedOf, emptyStages, type RolloutSpec, type RolloutStage, stageOf } from './assigned.ts';

/** A range of evidence begins with the minute, so that sites that come together are asked about together. */
const GRAIN_MS = 60_000;

type Promoted = RolloutSpec['promoted'][number];

/** What is to be known later of the stage that the rollout is at, and that is promoted. */
export function passedBy(spec: RolloutSpec, status: RolloutStage): Pick<Promoted, 'passed'> {
  const plan = spec.strategy.stages[spec.stage];
  const { version, startedAtMs, endedAtMs, virtualSite } = status;
  if (plan === undefined || version === null || startedAtMs === null || endedAtMs === null) return {};
  const base = spec.base.find((one) => one.virtualSite === virtualSite)?.generation ?? null;
  return { passed: { stage: spec.stage, plan, version, startedAtMs, endedAtMs, base } };
}

/**
 * The rollout as it was at each stage by which a virtual site was promoted to what it runs, whatever generation that is. A
 * virtual site that a stage is on its way to is left out: whoever comes there is of that stage.
 */
export function promotedStages(spec: RolloutSpec): RolloutSpec[] {
  const active = isOnItsWay(spec) ? stageOf(spec).status.virtualSite : null;
  return spec.promoted.flatMap((one) => (one.virtualSite === active ? [] : asPassed(spec, one)));
}

function asPassed(spec: RolloutSpec, { virtualSite, assigned, passed }: Promoted): RolloutSpec[] {
  if (passed === undefined) return [];
  const { stage, plan, version, startedAtMs, endedAtMs, base } = passed;
  const { generation, digest, established, attempt } = assigned;
  const [empty] = emptyStages({ stages: [plan] }, attempt);
  if (empty === undefined) return [];
  // Whoever is judged has met what was tried again last.
  const met = compareVersions(attempt, version) > 0 ? attempt : version;
  const status: RolloutStage = { ...empty, phase: 'passed', version: met, startedAtMs, endedAtMs };
  // Only the one stage of that strategy is known any more; it stands for those before it, too.
  const upTo = <T>(one: T): T[] => Array.from({ length: stage + 1 }, () => one);
  const at: RolloutSpec = {
    ...spec,
    generation,
    digest,
    strategy: { ...spec.strategy, established, stages: upTo(plan) },
    stage,
    stages: upTo(status),
    base: base === null ? [] : [{ virtualSite, generation: base }],
  };
  return isDeepStrictEqual(assignedOf(at), assigned) ? [at] : [];
}

/** When somebody had the policy tried again last: who failed before is judged anew. */
export function triedAgainAtMs({ acts }: RolloutSpec): number {
  return acts.findLast(({ act }) => act === 'retry')?.atMs ?? 0;
}

/** Whether the rollout still shows a stage that was promoted. */
export function shows(spec: RolloutSpec, passed: RolloutSpec): boolean {
  const isSame = stageOf(passed).status.startedAtMs === spec.stages[passed.stage]?.startedAtMs;
  return spec.generation === passed.generation && isSame;
}

/** Where the range begins in which a site that had seen the stage's target at `seenAtMs` is observed. */
export function rangeStart(stage: RolloutStage, seenAtMs: number, registeredAtMs: number): number {
  const startedAtMs = stage.startedAtMs ?? 0;
  const isOfStage = stage.endedAtMs !== null && seenAtMs <= stage.endedAtMs;
  const beganMs = isOfStage ? startedAtMs : Math.floor(seenAtMs / GRAIN_MS) * GRAIN_MS;
  // What a site of the same name said before it was registered is another site's.
  return Math.max(startedAtMs, seenAtMs < registeredAtMs ? registeredAtMs : beganMs);
}

/** What a stage shows once some of its sites have settled after it was over. Its verdict stays what it was promoted with. */
export function withLate(
  stage: RolloutStage,
  members: { sites: number; applied: number },
  settled: StageVerdict['sites'],
): RolloutStage {
  const count = (wanted: string) => settled.filter(({ verdict }) => verdict === wanted).length;
  const passed = stage.counts.passed + count('pass');
  const failed = stage.counts.failed + count('fail');
  const notApplicable = stage.counts.notApplicable + count('not-applicable');
  const inconclusive = Math.max(0, members.sites - passed - failed - notApplicable);
  const reasons = settled
    .filter(({ verdict }) => verdict === 'fail')
    .map((one) => `${one.site}: ${one.reasons[0]?.text ?? ''}`.slice(0, 300));
  return {
    ...stage,
    counts: { ...members, passed, failed, inconclusive, notApplicable },
    reasons: [...reasons, ...stage.reasons].slice(0, 16),
  };
}
