import type { EventKind, FleetEvent } from '../../core/model/event.ts';
import type { RolloutSpec } from './assigned.ts';

/** Something that a rollout did and that people are told of. */
export type Told = { kind: EventKind; virtualSite: string; message: string };

/**
 * The events of what a rollout did by itself. Kept with the rollout, so that after a kill the very same ones are told. They are
 * of the same time, and listed by id then: in the order in which they are given.
 */
export function eventsOf(told: readonly Told[], { policy, generation, stage }: RolloutSpec, atMs: number) {
  return told.map(
    ({ kind, virtualSite, message }, i): FleetEvent => ({
      id: `rollout/${policy.kind}/${policy.name}/${generation}/${stage}/${atMs}/${i}/${kind}`,
      atMs,
      kind,
      severity: severityOf(kind),
      site: '',
      virtualSite,
      by: '',
      message,
    }),
  );
}

const SEVERE: ReadonlySet<EventKind> = new Set([
  'rollout.stage-failed',
  'rollout.site-failed',
  'rollout.paused',
  'rollout.rolled-back',
  'hub.restored',
]);

export function severityOf(kind: EventKind): FleetEvent['severity'] {
  return SEVERE.has(kind) ? 'warning' : 'info';
}

/** As `Allowlist payments, generation 3`. */
export function nameOf({ policy, generation }: RolloutSpec): string {
  return `${policy.kind} ${policy.name}, generation ${generation}`;
}
