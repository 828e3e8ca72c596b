import Type from 'typebox';
import { Compile } from 'typebox/compile';
import { explain } from '../../core/explain.ts';
import { Report } from '../../core/model/report.ts';
import { SiteId } from '../../core/model/site.ts';
import type { SiteState } from '../../core/model/site-state.ts';
import { ScoreExplanation, SiteDetail, SiteLinks } from '../../core/model/view.ts';
import type { Store } from '../../core/ports/store.ts';
import { readLedgers } from '../doctor/read-ledgers.ts';
import type { App } from '../http/app.ts';
import { sendProblem } from '../http/problem-reply.ts';
import { sendRevision } from '../http/revision.ts';
import type { FleetEntry } from '../live/fleet.ts';
import { answers, noSite } from './answers.ts';
import { linkHistory } from './link-history.ts';
import type { RouteParts } from './parts.ts';
import { readSpan, SpanQuery } from './span.ts';

const Path = Type.Object({ id: SiteId });
const reports = Compile(Report);
type Parts = Pick<RouteParts, 'fleet' | 'store' | 'clock' | 'directory'>;

/** One site in full, its score explained, and its links. */
export function siteRoutes(app: App, parts: Parts): void {
  const find = (id: string): FleetEntry | undefined => {
    const fleet = parts.fleet();
    fleet.refresh();
    return fleet.get(id);
  };
  detailRoute(app, parts, find);
  linksRoute(app, parts, find);
  app.route({
    method: 'GET',
    url: '/api/v1/sites/:id/score',
    schema: {
      tags: ['sites'],
      summary: 'How the score came about',
      params: Path,
      response: answers(ScoreExplanation),
    },
    handler: async ({ params: { id } }, reply) => {
      const entry = find(id);
      return entry === undefined
        ? sendProblem(reply, noSite(id))
        : explain(id, entry.state, entry.view.freshness);
    },
  });
}

type Find = (id: string) => FleetEntry | undefined;

function detailRoute(app: App, { store, directory }: Parts, find: Find): void {
  app.route({
    method: 'GET',
    url: '/api/v1/sites/:id',
    schema: {
      tags: ['sites'],
      summary: 'One site in full, with its newest report and its ledger',
      params: Path,
      response: answers(SiteDetail),
    },
    handler: async ({ params: { id } }, reply) => {
      const entry = find(id);
      if (entry === undefined) return sendProblem(reply, noSite(id));
      const { site, state, view } = entry;
      sendRevision(reply, site.metadata);
      const [report, ledgers] = await Promise.all([
        newestReport(store, state),
        readLedgers(store, [id], directory().issuer?.spec ?? {}),
      ]);
      return {
        site: view,
        explanation: explain(id, state, view.freshness),
        report,
        ledger: ledgers.get(id) ?? null,
        joinedAtMs: site.spec.join?.joinedAtMs ?? null,
        createdAtMs: site.metadata.createdAtMs,
      } satisfies SiteDetail;
    },
  });
}

function linksRoute(app: App, { store, clock }: Parts, find: Find): void {
  app.route({
    method: 'GET',
    url: '/api/v1/sites/:id/links',
    schema: {
      tags: ['sites'],
      summary: 'The links of the newest report, and each link minute by minute (the last hour unless told)',
      params: Path,
      querystring: SpanQuery,
      response: answers(SiteLinks),
    },
    handler: async ({ params: { id }, query }, reply) => {
      const entry = find(id);
      if (entry === undefined) return sendProblem(reply, noSite(id));
      const span = readSpan(query, clock.nowMs());
      if (!span.ok) return sendProblem(reply, span.problem);
      const [report, history] = await Promise.all([
        newestReport(store, entry.state),
        linkHistory(store, id, span.span),
      ]);
      return {
        site: id,
        observedAtMs: report?.ts ?? null,
        links: report?.links ?? [],
        history,
      } satisfies SiteLinks;
    },
  });
}

/** The report that the state is of, as it came; null when the store does not have it (any more). */
async function newestReport(store: Store, state: SiteState | null): Promise<Report | null> {
  if (state === null) return null;
  const { site, boot, seq, ts } = state;
  const [row] = await store.query<{ payload: string }>(
    `SELECT payload FROM plumbline.report
     WHERE site = {site:String} AND boot = {boot:String} AND seq = {seq:UInt64} AND ts = fromUnixTimestamp64Milli({ts:Int64}) LIMIT 1`,
    { site, boot, seq, ts },
  );
  const report: unknown = row === undefined ? null : JSON.parse(row.payload);
  return reports.Check(report) ? report : null;
}
