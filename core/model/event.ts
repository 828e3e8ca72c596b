import Type, { type Static } from 'typebox';

export const EVENT_KINDS = [
  'site.added',
  'site.invited',
  'site.joined',
  'site.removed',
  'site.labelled',
  'site.silent',
  'site.recovered',
  'site.state',
  'site.gap',
  'site.clock',
  'report.quarantined',
  'report.conflict',
  'channel.refused',
  'channel.closed',
  'virtual-site.created',
  'virtual-site.changed',
  'virtual-site.deleted',
  'token.created',
  'token.deleted',
  'command.refused',
  'policy.created',
  'policy.changed',
  'policy.deleted',
  'policy.refused',
  'policy.applied',
  'policy.withdrawn',
  'policy.drift',
  'policy.orphaned',
  'policy.document-refused',
  'policy.read-only',
  'policy.read-only-over',
  'enforcement.disarmed',
  'enforcement.armed',
  'rollout.started',
  'rollout.stage-started',
  'rollout.stage-passed',
  'rollout.stage-failed',
  'rollout.site-failed',
  'rollout.promoted',
  'rollout.paused',
  'rollout.resumed',
  'rollout.rolled-back',
  'rollout.retried',
  'rollout.superseded',
  'rollout.completed',
  'keys.rotated',
  'keys.distrusted',
  'keys.trusted',
  'site.implausible',
  'hub.restored',
  'hub.started',
  'hub.blind',
] as const;
export type EventKind = (typeof EVENT_KINDS)[number];
export const SEVERITIES = ['info', 'warning', 'critical'] as const;

/** Something worth telling a person, and the audit of every change. The same event has the same id however often it is written. */
export const FleetEvent = Type.Object({
  /** Derived from what happened (kind, subject, when it began), never random, so that a replay writes it again unchanged. */
  id: Type.String(),
  atMs: Type.Integer(),
  kind: Type.Enum(EVENT_KINDS),
  severity: Type.Enum(SEVERITIES),
  /** Empty when it concerns no single site. */
  site: Type.String(),
  virtualSite: Type.String(),
  /** Who did it; empty when nobody did. */
  by: Type.String(),
  message: Type.String(),
});
export type FleetEvent = Static<typeof FleetEvent>;
