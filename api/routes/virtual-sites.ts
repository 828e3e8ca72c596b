import Type from 'typebox';
import { SiteId } from '../../core/model/site.ts';
import { Distribution, VirtualSitePage, VirtualSiteView } from '../../core/model/view.ts';
import type { App } from '../http/app.ts';
import { sendProblem } from '../http/problem-reply.ts';
import { answers, badCursor, noVirtualSite } from './answers.ts';
import { PageQuery, pageOf } from './paging.ts';
import type { RouteParts } from './parts.ts';

const BUCKETS = 20;
const Path = Type.Object({ name: SiteId });
const Query = Type.Object(PageQuery, { additionalProperties: false });

/** Virtual sites and what is true of their members now. */
export function virtualSiteRoutes(app: App, { fleet }: Pick<RouteParts, 'fleet'>): void {
  const refreshed = () => {
    const current = fleet();
    current.refresh();
    return current;
  };
  app.route({
    method: 'GET',
    url: '/api/v1/virtual-sites',
    schema: {
      tags: ['virtual sites'],
      summary: 'List virtual sites',
      querystring: Query,
      response: answers(VirtualSitePage),
    },
    handler: async ({ query }, reply) => {
      const current = refreshed();
      const page: VirtualSitePage | null = pageOf(current.virtualSiteNames(), query, (name) =>
        current.virtualSite(name),
      );
      return page ?? sendProblem(reply, badCursor());
    },
  });
  app.route({
    method: 'GET',
    url: '/api/v1/virtual-sites/:name',
    schema: {
      tags: ['virtual sites'],
      summary: 'One virtual site',
      params: Path,
      response: answers(VirtualSiteView),
    },
    handler: async ({ params }, reply) =>
      refreshed().virtualSite(params.name) ?? sendProblem(reply, noVirtualSite(params.name)),
  });
  app.route({
    method: 'GET',
    url: '/api/v1/virtual-sites/:name/distribution',
    schema: {
      tags: ['virtual sites'],
      summary: 'How scores and utilisations are distributed over the members now',
      params: Path,
      response: answers(Distribution),
    },
    handler: async ({ params: { name } }, reply) => {
      const current = refreshed();
      const view = current.virtualSite(name);
      if (view === undefined) return sendProblem(reply, noVirtualSite(name));
      const scoreHistogram = new Array<number>(BUCKETS).fill(0);
      for (const { score } of current.members(name)) {
        if (score === null) continue;
        const bucket = Math.min(BUCKETS - 1, Math.floor(score / (100 / BUCKETS)));
        scoreHistogram[bucket] = (scoreHistogram[bucket] ?? 0) + 1;
      }
      return { virtualSite: name, rollup: view.rollup, scoreHistogram } satisfies Distribution;
    },
  });
}
