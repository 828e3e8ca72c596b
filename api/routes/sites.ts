import Type from 'typebox';
import { HEALTH_STATES } from '../../core/model/score.ts';
import { SiteId } from '../../core/model/site.ts';
import { SitePage } from '../../core/model/view.ts';
import { problem } from '../../core/problem.ts';
import type { App } from '../http/app.ts';
import { sendProblem } from '../http/problem-reply.ts';
import { readFilter } from '../live/filter.ts';
import { answers, badCursor, noVirtualSite } from './answers.ts';
import { PageQuery, pageOf } from './paging.ts';
import type { RouteParts } from './parts.ts';

const Query = Type.Object(
  {
    ...PageQuery,
    selector: Type.Optional(Type.String({ maxLength: 2048, description: 'as "env in (prod),!maintenance"' })),
    virtualSite: Type.Optional(SiteId),
    state: Type.Optional(Type.Enum(HEALTH_STATES)),
  },
  { additionalProperties: false },
);

/** The registered sites, in order of their ids. */
export function sitesRoute(app: App, { fleet, directory }: Pick<RouteParts, 'fleet' | 'directory'>): void {
  app.route({
    method: 'GET',
    url: '/api/v1/sites',
    schema: { tags: ['sites'], summary: 'List sites', querystring: Query, response: answers(SitePage) },
    handler: async ({ query }, reply): Promise<SitePage | typeof reply> => {
      const { selector, virtualSite, state, cursor, limit } = query;
      const read = readFilter({ ...(selector && { selector }), ...(virtualSite && { virtualSite }) });
      if (!read.ok)
        return sendProblem(
          reply,
          problem('invalid-selector', read.detail, [{ pointer: '/selector', detail: read.detail }]),
        );
      if (virtualSite !== undefined && !directory().virtualSites.has(virtualSite))
        return sendProblem(reply, noVirtualSite(virtualSite));
      const current = fleet();
      current.refresh();
      const page = pageOf(current.ids(), { cursor, limit }, (id) => {
        const view = current.get(id)?.view;
        const isWanted =
          view !== undefined && read.filter.wants(view) && (state === undefined || view.state === state);
        return isWanted ? view : undefined;
      });
      return page ?? sendProblem(reply, badCursor());
    },
  });
}
