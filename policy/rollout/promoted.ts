import { isDeepStrictEqual } from 'node:util';
import type { StageVerdict } from '../../core/policy/evidence.ts';
import { assignedOf, isOnItsWay, type RolloutSpec, type RolloutStage, stageOf } from './assigned.ts';

/** A range of evidence begins with the minute, so that sites that come together are asked about together. */
const GRAIN_MS = 60_000;

/**
 * The rollout as it was at each stage that its virtual sites were promoted by, where what it brought is what they run: by
 * its plan those are asked about that come later. What an earlier generation was promoted with is not known any more.
 */
export function promotedStages(spec: RolloutSpec): RolloutSpec[] {
  const active = isOnItsWay(spec) ? stageOf(spec).status.virtualSite : null;
  return spec.promoted.flatMap(({ virtualSite, assigned }) => {
    const stage = spec.stages.findLastIndex(
      (one) => one.virtualSite === virtualSite && one.phase === 'passed' && one.version !== null,
    );
    if (virtualSite === active || stage < 0) return [];
    const at = { ...spec, stage };
    return isDeepStrictEqual(assignedOf(at), assigned) ? [at] : [];
  });
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
