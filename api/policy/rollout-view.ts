import type { RolloutView } from '../../core/model/policy-view.ts';
import type { Rollout } from '../../core/model/rollout.ts';

/** A rollout as lists and the live view show it. */
export function rolloutView({ metadata, spec }: Rollout): RolloutView {
  const { policy, generation, digest, phase, reason, stage, stages, startedAtMs } = spec;
  return {
    kind: policy.kind,
    name: policy.name,
    generation,
    digest,
    phase,
    reason,
    stage,
    stages,
    startedAtMs,
    updatedAtMs: metadata.updatedAtMs,
    updatedBy: metadata.updatedBy,
  };
}
