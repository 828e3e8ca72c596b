import Type from 'typebox';
import { SiteId } from '../../core/model/site.ts';
import { SiteHistory, VirtualSiteHistory } from '../../core/model/view.ts';
import type { App } from '../http/app.ts';
import { sendProblem } from '../http/problem-reply.ts';
import { answers, noSite, noVirtualSite } from './answers.ts';
import type { RouteParts } from './parts.ts';
import { readSpan, type Span, SpanQuery } from './span.ts';

const SitePath = Type.Object({ id: SiteId });
const VirtualSitePath = Type.Object({ name: SiteId });

const STEP = 'intDiv(toUnixTimestamp(minute), {stepS:UInt32}) * {stepS:UInt32} * 1000';
const WITHIN = `minute >= toDateTime({fromS:UInt32}, 'UTC') AND minute < toDateTime({toS:UInt32}, 'UTC')`;

const SITE = `
  SELECT ${STEP} AS atMs, min(least(ifNull(shown, 100), ifNull(score_min, 100))) AS lowest,
    if(countIf(shown IS NOT NULL) = 0, NULL, lowest) AS score, max(cpu_max) AS cpu, max(memory_max) AS memory
  FROM plumbline.site_minute WHERE site = {site:String} AND ${WITHIN}
  GROUP BY atMs ORDER BY atMs`;

const VIRTUAL_SITE = `
  SELECT ${STEP} AS atMs, max((minute, members, green, orange, red, unknown)) AS newest,
    min(score_min) AS lowest, avg(score_mean) AS mean
  FROM plumbline.virtual_site_minute WHERE virtual_site = {virtualSite:String} AND ${WITHIN}
  GROUP BY atMs ORDER BY atMs`;

/** How a site and a virtual site were, step by step. */
export function historyRoutes(app: App, parts: Pick<RouteParts, 'store' | 'clock' | 'directory'>): void {
  const { store, clock, directory } = parts;
  app.route({
    method: 'GET',
    url: '/api/v1/sites/:id/history',
    schema: {
      tags: ['sites'],
      summary: 'Score, CPU and memory over time',
      params: SitePath,
      querystring: SpanQuery,
      response: answers(SiteHistory),
    },
    handler: async ({ params: { id: site }, query }, reply) => {
      if (!directory().sites.has(site)) return sendProblem(reply, noSite(site));
      const read = readSpan(query, clock.nowMs());
      if (!read.ok) return sendProblem(reply, read.problem);
      const points = await store.query<SiteHistory['points'][number]>(
        `SELECT atMs, score, cpu, memory FROM (${SITE})`,
        { site, ...paramsOf(read.span) },
      );
      return { site, stepMs: read.span.stepMs, points } satisfies SiteHistory;
    },
  });
  app.route({
    method: 'GET',
    url: '/api/v1/virtual-sites/:name/history',
    schema: {
      tags: ['virtual sites'],
      summary: 'Members by state and their scores over time',
      params: VirtualSitePath,
      querystring: SpanQuery,
      response: answers(VirtualSiteHistory),
    },
    handler: async ({ params: { name: virtualSite }, query }, reply) => {
      if (!directory().virtualSites.has(virtualSite)) return sendProblem(reply, noVirtualSite(virtualSite));
      const read = readSpan(query, clock.nowMs());
      if (!read.ok) return sendProblem(reply, read.problem);
      const points = await store.query<VirtualSiteHistory['points'][number]>(
        `SELECT atMs, newest.2 AS members, newest.3 AS green, newest.4 AS orange, newest.5 AS red,
           newest.6 AS unknown, lowest AS scoreMin, mean AS scoreMean FROM (${VIRTUAL_SITE})`,
        { virtualSite, ...paramsOf(read.span) },
      );
      return { virtualSite, stepMs: read.span.stepMs, points } satisfies VirtualSiteHistory;
    },
  });
}

function paramsOf({ fromMs, toMs, stepMs }: Span): { fromS: number; toS: number; stepS: number } {
  return { fromS: Math.floor(fromMs / 1000), toS: Math.ceil(toMs / 1000), stepS: stepMs / 1000 };
}
