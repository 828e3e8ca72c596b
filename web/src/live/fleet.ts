import type { RolloutView } from '../../../core/model/policy-view.ts';
import type { HubView, LiveMessage, Rollup, SiteView, VirtualSiteView } from '../../../core/model/view.ts';

/** The fleet as of one version of the live stream. Never changed in place. */
export type Fleet = {
  version: number;
  hub: HubView;
  /** Of the sites that the subscription's filter selects. */
  rollup: Rollup;
  sites: ReadonlyMap<string, SiteView>;
  virtualSites: readonly VirtualSiteView[];
  /** Those on their way first; 50 at most. */
  rollouts: readonly RolloutView[];
};

type FleetMessage = Exclude<LiveMessage, { type: 'error' }>;

/** The fleet after a message, or `missed` when something between the two did not arrive: subscribe again. */
export function afterMessage(
  fleet: Fleet | null,
  message: FleetMessage,
): { ok: true; fleet: Fleet } | { ok: false; code: 'missed' } {
  if (message.type === 'snapshot') {
    const { version, hub, rollup, virtualSites, rollouts } = message;
    const sites = new Map(message.sites.map((site) => [site.id, site]));
    return { ok: true, fleet: { version, hub, rollup, sites, virtualSites, rollouts } };
  }
  const from = message.type === 'delta' ? message.from : message.version;
  if (fleet === null || from !== fleet.version) return { ok: false, code: 'missed' };
  if (message.type === 'pulse') return { ok: true, fleet: { ...fleet, hub: message.hub } };
  const { version, hub, rollup, virtualSites, rollouts } = message;
  const sites = new Map(fleet.sites);
  for (const site of message.upsert) sites.set(site.id, site);
  for (const id of message.remove) sites.delete(id);
  return { ok: true, fleet: { version, hub, rollup, sites, virtualSites, rollouts } };
}
