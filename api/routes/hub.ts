import Type from 'typebox';
import { HubInfo } from '../../core/model/view.ts';
import { problem } from '../../core/problem.ts';
import type { App } from '../http/app.ts';
import { sendProblem } from '../http/problem-reply.ts';
import { answers } from './answers.ts';
import type { RouteParts } from './parts.ts';

type Parts = Pick<RouteParts, 'version' | 'mode' | 'clock' | 'hearing' | 'directory' | 'store' | 'metrics'>;

/** The hub of itself: what it is, whether it lives, its figures. */
export function hubRoutes(app: App, parts: Parts): void {
  const { version, mode, clock, hearing, directory, store, metrics } = parts;
  app.route({
    method: 'GET',
    url: '/api/v1/hub',
    schema: { tags: ['hub'], summary: 'The hub of itself', response: answers(HubInfo) },
    handler: async () => {
      const { sites, virtualSites, hub } = directory();
      return {
        version,
        mode,
        nowMs: clock.nowMs(),
        caughtUp: hearing().caughtUp,
        sites: sites.size,
        virtualSites: virtualSites.size,
        troubles: hub?.spec.troubles ?? [],
      } satisfies HubInfo;
    },
  });
  app.route({
    method: 'GET',
    url: '/api/v1/openapi.json',
    schema: {
      tags: ['hub'],
      summary: 'This document',
      security: [],
      response: answers(Type.Object({}, { additionalProperties: true })),
    },
    handler: async () => app.swagger(),
  });
  // The rest is for machines that look after the hub. The first two tell nothing, so anybody may ask; figures are for
  // this machine, and elsewhere (also behind a proxy) for who holds a viewer's token.
  app.get('/healthz', async () => ({ status: 'alive' }));
  app.get('/readyz', async (_request, reply) => {
    if (directory().hub === null)
      return sendProblem(
        reply,
        problem('not-ready', 'no control role has run yet, so nothing can be changed; start one'),
      );
    await store.query('SELECT 1 AS one');
    if (hearing().trouble !== undefined)
      return sendProblem(
        reply,
        problem('not-ready', "reports can't be brought to the store; `plumbline doctor` says why"),
      );
    return reply.type('application/json').send('{"status":"ready"}');
  });
  app.get('/metrics', async (_request, reply) =>
    reply.type(metrics.contentType).send(await metrics.expose()),
  );
}
