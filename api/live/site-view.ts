import { shownState } from '../../core/freshness.ts';
import type { Site } from '../../core/model/resource.ts';
import type { Labels } from '../../core/model/site.ts';
import type { SiteState } from '../../core/model/site-state.ts';
import type { Freshness, SiteView } from '../../core/model/view.ts';

/** A registered site as it is shown, from what was given, what it last said, and whether that is fresh. */
export function siteView(
  site: Site,
  state: SiteState | null,
  freshness: Freshness,
  belongs: { labels: Labels; virtualSites: string[] },
): SiteView {
  const fresh = state !== null && freshness === 'heard';
  return {
    id: site.metadata.name,
    kind: site.spec.kind ?? state?.kind ?? 'unknown',
    simulated: site.spec.kind === 'simulated' || state?.kind === 'simulated',
    state: shownState(state, freshness),
    freshness,
    score: fresh ? state.shown : null,
    components: fresh ? state.components : {},
    reason: reason(site, state, freshness),
    labels: belongs.labels,
    virtualSites: belongs.virtualSites,
    cpu: fresh ? state.cpu : null,
    memory: fresh ? state.memory : null,
    disk: fresh ? state.disk : null,
    links: fresh ? state.links : { total: 0, up: 0 },
    receivedAtMs: state?.receivedAtMs ?? null,
    intervalMs: state?.intervalMs ?? null,
    version: state?.version ?? '',
  };
}

/** Says times and not how long ago, so that it stays the same while nothing happens. */
function reason(site: Site, state: SiteState | null, freshness: Freshness): string {
  if (state === null)
    return site.spec.join?.joinedAtMs === undefined
      ? 'has not joined yet'
      : 'has joined, but no report of it has arrived';
  const heardAt = new Date(state.receivedAtMs).toISOString().replace(/\.\d+Z$/, 'Z');
  if (freshness === 'silent') return `silent since ${heardAt}`;
  if (freshness === 'unheard') return `the hub was not listening for long enough; last heard ${heardAt}`;
  if (state.score === null) return 'nothing was observed that could be scored';
  const [cap] = state.caps;
  const [heaviest] = state.penalties;
  if (cap !== undefined) return cap;
  if (heaviest === undefined) return '';
  return heaviest.subject === '' ? heaviest.observed : `${heaviest.subject}: ${heaviest.observed}`;
}
