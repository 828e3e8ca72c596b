import type { FleetEvent } from '../core/model/event.ts';
import { API_VERSION } from '../core/model/metadata.ts';
import type { HubStatus } from '../core/model/resource.ts';

/** The one HubStatus there is. */
const NAME = 'hub';

/** How often control says that it is alive, and after how long without it nobody watched. */
export const HEARTBEAT_MS = 5_000;
const BLIND_AFTER_MS = 3 * HEARTBEAT_MS;

export type Stretch = { fromMs: number; toMs: number };

/** The stretch in which nobody watched, or null when it was too short to matter. */
export function blindStretch(aliveAtMs: number | null, nowMs: number): Stretch | null {
  if (aliveAtMs === null || nowMs - aliveAtMs <= BLIND_AFTER_MS) return null;
  return { fromMs: aliveAtMs, toMs: nowMs };
}

/** Said once for a stretch: its identity is when the hub was last alive, whatever its end turns out to be. */
export function blindEvent({ fromMs, toMs }: Stretch): FleetEvent {
  return {
    id: `hub.blind/${fromMs}`,
    atMs: fromMs,
    kind: 'hub.blind',
    severity: 'warning',
    site: '',
    virtualSite: '',
    by: '',
    message: `the hub watched nobody from ${new Date(fromMs).toISOString()} to ${new Date(toMs).toISOString()} (${Math.round((toMs - fromMs) / 1000)} s); what sites did meanwhile comes with their held reports, and no site is blamed for it`,
  };
}

export function startedEvent(nowMs: number): FleetEvent {
  return {
    id: `hub.started/${nowMs}`,
    atMs: nowMs,
    kind: 'hub.started',
    severity: 'info',
    site: '',
    virtualSite: '',
    by: '',
    message: 'the hub watches its sites from now on',
  };
}

export function hubStatus(before: HubStatus | null, nowMs: number, spec: HubStatus['spec']): HubStatus {
  const metadata = before?.metadata ?? {
    name: NAME,
    uid: NAME,
    createdAtMs: nowMs,
    updatedAtMs: nowMs,
    revision: 0,
    updatedBy: 'control',
  };
  return {
    apiVersion: API_VERSION,
    kind: 'HubStatus',
    metadata: { ...metadata, updatedAtMs: nowMs, revision: metadata.revision + 1 },
    spec,
  };
}
