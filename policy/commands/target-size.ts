import { MAX_SPEC_BYTES } from '../../core/model/signed.ts';
import type { Registered } from '../registry.ts';
import type { RolloutSpec } from '../rollout/assigned.ts';
import { targetContent } from '../rollout/target.ts';
import { type Outcome, refuse } from './outcome.ts';

/** A target that sites would not take for its length, which its virtual sites' selectors and its probes make; null when it is none. */
export function tooLong(spec: RolloutSpec, registered: Registered): Outcome | null {
  const sizeBytes = Buffer.byteLength(JSON.stringify(targetContent(spec, registered)));
  if (sizeBytes <= MAX_SPEC_BYTES) return null;
  return refuse(
    'too-large',
    `what sites would be told of ${spec.policy.kind} ${spec.policy.name} has ${Math.ceil(sizeBytes / 1024)} kB, and ${MAX_SPEC_BYTES / 1024} kB is the most; shorten the selectors of its virtual sites, or its probes`,
  );
}
