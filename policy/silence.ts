import { freshness, type Hearing, toleranceMs } from '../core/freshness.ts';
import type { FleetEvent } from '../core/model/event.ts';
import type { Site } from '../core/model/resource.ts';
import type { SiteState } from '../core/model/site-state.ts';

/**
 * A silence that was told. Its episode is when the site was last heard (when it joined, for one that was never heard), and
 * names it: one episode is told once, however often control restarts, and its end likewise.
 */
export type Silence = { episode: number; toldAtMs: number; isOver: boolean };

/** What to tell of a site, and what is the newest silence that was told of it once that is told. */
export type SilenceNews = { event: FleetEvent; site: string; newest: Silence };

/**
 * Compares what is with what was told (site → its newest silence). A site that nobody has joined yet is awaited, not silent.
 * What is older than the site itself is of another one that had its name: neither its reports nor its silence count.
 *
 * When a silence began to be one depends on since when this hub listens, and its end on which report was newest when it was
 * noticed: so news that was decided is told as it stands, and not decided again (see SilenceKeeper).
 */
export function silenceNews(
  sites: Iterable<Site>,
  states: ReadonlyMap<string, SiteState>,
  told: ReadonlyMap<string, Silence>,
  hearing: Hearing,
  nowMs: number,
): SilenceNews[] {
  const news: SilenceNews[] = [];
  for (const { metadata, spec } of sites) {
    const site = metadata.name;
    const state = since(metadata.createdAtMs, states.get(site), ({ receivedAtMs }) => receivedAtMs);
    const newest = since(metadata.createdAtMs, told.get(site), ({ episode }) => episode);
    const joinedAtMs = spec.join?.joinedAtMs;
    if (state === null && joinedAtMs === undefined && newest === null) continue;
    const registeredAtMs = joinedAtMs ?? metadata.createdAtMs;
    const episode = state?.receivedAtMs ?? registeredAtMs;
    if (newest !== null && !newest.isOver) {
      if (episode <= newest.episode) continue;
      news.push({ site, newest: { ...newest, isOver: true }, event: recovered(site, newest, episode) });
    }
    if (episode === newest?.episode) continue;
    const offlineToleranceMs = spec.offlineToleranceMs;
    if (freshness({ state, registeredAtMs, offlineToleranceMs }, hearing, nowMs) !== 'silent') continue;
    const tolerance = toleranceMs(state?.intervalMs ?? 10_000, offlineToleranceMs);
    const toldAtMs = Math.round(Math.max(episode, hearing.sinceMs) + tolerance);
    const silence = { episode, toldAtMs, isOver: false };
    news.push({ site, newest: silence, event: silent(site, state, silence, tolerance) });
  }
  return news;
}

/** What is known of a site, unless it is older than the site. */
function since<T>(createdAtMs: number, known: T | undefined, atMs: (known: T) => number): T | null {
  return known === undefined || atMs(known) < createdAtMs ? null : known;
}

function silent(
  site: string,
  state: SiteState | null,
  { episode, toldAtMs }: Silence,
  tolerance: number,
): FleetEvent {
  const last =
    state === null
      ? `joined at ${new Date(episode).toISOString()} and was never heard`
      : `was last heard at ${new Date(episode).toISOString()}`;
  return {
    id: `site.silent/${site}/${episode}`,
    atMs: toldAtMs,
    kind: 'site.silent',
    severity: 'warning',
    site,
    virtualSite: '',
    by: '',
    message: `site ${site} ${last}, longer ago than the ${tolerance / 1000} s it may be quiet; see that its collector runs and reaches the hub`,
  };
}

/** The end never stands before the beginning: a report may have waited while its site was told silent. */
function recovered(site: string, { episode, toldAtMs }: Silence, heardAtMs: number): FleetEvent {
  return {
    id: `site.recovered/${site}/${episode}`,
    atMs: Math.max(heardAtMs, toldAtMs),
    kind: 'site.recovered',
    severity: 'info',
    site,
    virtualSite: '',
    by: '',
    message: `site ${site} is heard again after ${Math.round((heardAtMs - episode) / 1000)} s`,
  };
}
