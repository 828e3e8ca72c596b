import { createHash } from 'node:crypto';
import type { Assigned, Assignment, IntentKind, TargetBody, Version } from '../model/signed.ts';
import type { Labels } from '../model/site.ts';
import { matches } from '../selector.ts';

/** Above every place that a site may have in a wave. */
export const EVERYBODY = 65_536;

/** What one site is to do about one policy. `assigned` null: withdraw it if it is there. */
export type Desired = {
  kind: IntentKind;
  name: string;
  version: Version;
  virtualSite: string | null;
  assigned: Assigned | null;
  guard: Assignment['guard'] | null;
};

/**
 * The one function by which the hub and each site work out what the site is to run (semantics version 1): the first
 * assignment whose selector matches the given labels counts, so that a site in two virtual sites belongs to the earlier;
 * it gives `next` to the sites below the threshold and `current` to the others. None matching: nothing.
 */
export function desiredState(site: { id: string; labels: Labels }, target: TargetBody): Desired {
  const { kind, name, version, absent, assignments } = target;
  const found = absent ? undefined : assignments.find(({ selector }) => matches(selector, site.labels));
  if (found === undefined) return { kind, name, version, virtualSite: null, assigned: null, guard: null };
  const { virtualSite, current, next, threshold, seed, guard } = found;
  const isBelow = threshold >= EVERYBODY || (threshold > 0 && hashOf(site.id, seed) < threshold);
  const assigned = next !== null && isBelow ? next : current;
  return { kind, name, version, virtualSite, assigned, guard };
}

/** A site's place in a wave, 0 to 65535: the first two bytes of SHA-256 over seed and site. */
export function hashOf(site: string, seed: string): number {
  return createHash('sha256').update(`${seed}\0${site}`).digest().readUInt16BE(0);
}
