import { freshness, type Hearing, toleranceMs } from '../core/freshness.ts';
import type { FleetEvent } from '../core/model/event.ts';
import type { Site } from '../core/model/resource.ts';
import type { SiteState } from '../core/model/site-state.ts';

/**
 * Silences that were told and are not over: site → its episode, which is when the site was last heard (when it joined,
 * for one that was never heard). An episode is told once, however often control restarts.
 */
export type Told = ReadonlyMap<string, number>;

/** What to tell, and the episode that is open for the site once it was told (null when none is). */
export type SilenceNews = { event: FleetEvent; site: string; episode: number | null };

/**
 * Compares what is with what was told. A site that nobody has joined yet is awaited, not silent. Ids follow from the
 * episode, so that telling twice is telling once.
 */
export function silenceNews(
  sites: Iterable<Site>,
  states: ReadonlyMap<string, SiteState>,
  told: Told,
  hearing: Hearing,
  nowMs: number,
): SilenceNews[] {
  const news: SilenceNews[] = [];
  for (const { metadata, spec } of sites) {
    const site = metadata.name;
    const state = states.get(site) ?? null;
    const joinedAtMs = spec.join?.joinedAtMs;
    const open = told.get(site);
    if (state === null && joinedAtMs === undefined && open === undefined) continue;
    const registeredAtMs = joinedAtMs ?? metadata.createdAtMs;
    const episode = state?.receivedAtMs ?? registeredAtMs;
    const isOver = open !== undefined && episode > open;
    if (isOver) news.push({ site, episode: null, event: recovered(site, open, episode) });
    if (open !== undefined && !isOver) continue;
    const offlineToleranceMs = spec.offlineToleranceMs;
    if (freshness({ state, registeredAtMs, offlineToleranceMs }, hearing, nowMs) !== 'silent') continue;
    const tolerance = toleranceMs(state?.intervalMs ?? 10_000, offlineToleranceMs);
    const atMs = Math.max(episode, hearing.sinceMs) + tolerance;
    news.push({ site, episode, event: silent(site, state, episode, atMs, tolerance) });
  }
  return news;
}

function silent(
  site: string,
  state: SiteState | null,
  episode: number,
  atMs: number,
  tolerance: number,
): FleetEvent {
  const last =
    state === null
      ? `joined at ${new Date(episode).toISOString()} and was never heard`
      : `was last heard at ${new Date(episode).toISOString()}`;
  return {
    id: `site.silent/${site}/${episode}`,
    atMs: Math.round(atMs),
    kind: 'site.silent',
    severity: 'warning',
    site,
    virtualSite: '',
    by: '',
    message: `site ${site} ${last}, longer ago than the ${tolerance / 1000} s it may be quiet; see that its collector runs and reaches the hub`,
  };
}

function recovered(site: string, episode: number, heardAtMs: number): FleetEvent {
  return {
    id: `site.recovered/${site}/${episode}`,
    atMs: heardAtMs,
    kind: 'site.recovered',
    severity: 'info',
    site,
    virtualSite: '',
    by: '',
    message: `site ${site} is heard again after ${Math.round((heardAtMs - episode) / 1000)} s`,
  };
}

/** The episode that the id of a `site.silent` event names. */
export function episodeOf(eventId: string): number {
  return Number(eventId.slice(eventId.lastIndexOf('/') + 1));
}
