import Type from 'typebox';
import { EVENT_KINDS, type FleetEvent, SEVERITIES } from '../../core/model/event.ts';
import { SiteId } from '../../core/model/site.ts';
import { EventPage } from '../../core/model/view.ts';
import type { App } from '../http/app.ts';
import { sendProblem } from '../http/problem-reply.ts';
import { answers, badCursor, noVirtualSite } from './answers.ts';
import { DEFAULT_LIMIT, fromCursor, PageQuery, toCursor } from './paging.ts';
import type { RouteParts } from './parts.ts';

const Query = Type.Object(
  {
    ...PageQuery,
    site: Type.Optional(SiteId),
    virtualSite: Type.Optional(SiteId),
    kind: Type.Optional(Type.Enum(EVENT_KINDS)),
    severity: Type.Optional(Type.Enum(SEVERITIES)),
  },
  { additionalProperties: false },
);

/** After the newest event there can be. */
const NEWEST: [number, string] = [4_102_444_800_000, ''];

/** What happened, newest first. Empty filters select everything. */
const SQL = `
  SELECT id, toUnixTimestamp64Milli(at) AS atMs, kind, severity, site, virtual_site AS virtualSite, by, message
  FROM plumbline.events
  WHERE (at, id) < (fromUnixTimestamp64Milli({atMs:Int64}), {id:String})
    AND ({site:String} = '' OR site = {site:String})
    AND ({virtualSite:String} = '' OR virtual_site = {virtualSite:String})
    AND ({kind:String} = '' OR kind = {kind:String})
    AND ({severity:String} = '' OR severity = {severity:String})
  ORDER BY at DESC, id DESC LIMIT {limit:UInt32}`;

export function eventsRoute(app: App, { store, directory }: Pick<RouteParts, 'store' | 'directory'>): void {
  app.route({
    method: 'GET',
    url: '/api/v1/events',
    schema: { tags: ['events'], summary: 'What happened', querystring: Query, response: answers(EventPage) },
    handler: async ({ query }, reply) => {
      const { cursor, limit = DEFAULT_LIMIT, site = '', virtualSite = '', kind = '', severity = '' } = query;
      const before = cursor === undefined ? NEWEST : placeOf(cursor);
      if (before === null) return sendProblem(reply, badCursor());
      const [atMs, id] = before;
      const items = await store.query<FleetEvent>(SQL, {
        atMs,
        id,
        site,
        virtualSite,
        kind,
        severity,
        limit: limit + 1,
      });
      // What happened to one that was deleted since can be read on.
      const isKnown = virtualSite === '' || items.length > 0 || directory().virtualSites.has(virtualSite);
      if (!isKnown && cursor === undefined) return sendProblem(reply, noVirtualSite(virtualSite));
      const isMore = items.length > limit;
      if (isMore) items.pop();
      const last = items.at(-1);
      const next = isMore && last !== undefined ? toCursor([last.atMs, last.id]) : null;
      return { items, next } satisfies EventPage;
    },
  });
}

function placeOf(cursor: string): [number, string] | null {
  const [atMs, id] = fromCursor(cursor) ?? [];
  return typeof atMs === 'number' && Number.isSafeInteger(atMs) && typeof id === 'string' ? [atMs, id] : null;
}
