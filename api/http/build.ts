import type { Server } from 'node:http';
import { fastifyCookie } from '@fastify/cookie';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import { fastify } from 'fastify';
import { authorityRoutes } from '../routes/authority.ts';
import { doctorRoute } from '../routes/doctor.ts';
import { echoRoute } from '../routes/echo.ts';
import { eventsRoute } from '../routes/events.ts';
import { historyRoutes } from '../routes/history.ts';
import { hubRoutes } from '../routes/hub.ts';
import { joinRoute } from '../routes/join.ts';
import type { RouteParts } from '../routes/parts.ts';
import { planRoute } from '../routes/plan.ts';
import { policyRoutes } from '../routes/policies.ts';
import { policyHitsRoute } from '../routes/policy-hits.ts';
import { rolloutRoutes } from '../routes/rollouts.ts';
import { schemasRoute } from '../routes/schemas.ts';
import { sessionRoutes } from '../routes/session.ts';
import { siteRoutes } from '../routes/site.ts';
import { siteChangeRoutes } from '../routes/site-changes.ts';
import { sitesRoute } from '../routes/sites.ts';
import { tokenRoutes } from '../routes/tokens.ts';
import { virtualSiteRoutes } from '../routes/virtual-sites.ts';
import type { App } from './app.ts';
import { describe } from './openapi.ts';
import { servePage } from './page.ts';
import { problemOf, sendProblem } from './problem-reply.ts';
import { protect } from './protect.ts';
import { checkWithTypebox } from './schema-check.ts';
import { type Certificate, openServer } from './server.ts';

const MAX_BODY_BYTES = 512 * 1024;

export type AppParts = RouteParts & { webDir: string; tls: Certificate | null };

/** The HTTP application with all its routes, not yet listening. */
export async function buildApp(parts: AppParts): Promise<App> {
  const app: App = fastify<Server>({
    serverFactory: (listener) => openServer(listener, parts.tls),
    bodyLimit: MAX_BODY_BYTES,
    exposeHeadRoutes: true,
    forceCloseConnections: true,
    routerOptions: { maxParamLength: 255 },
  }).withTypeProvider<TypeBoxTypeProvider>();
  // Fastify would take plain text as a body too; what is not declared as JSON is told so.
  app.removeContentTypeParser('text/plain');
  app.setValidatorCompiler(checkWithTypebox);
  // Answers are made to their types; their schemas are for readers, and checked in tests.
  app.setSerializerCompiler(() => (value) => JSON.stringify(value));
  app.setErrorHandler<Error>((error, request, reply) =>
    sendProblem(reply, problemOf(error, request, parts.logger)),
  );
  protect(app, parts.signIn);
  await app.register(fastifyCookie, { hook: false });
  await describe(app, parts.version);
  sitesRoute(app, parts);
  siteRoutes(app, parts);
  siteChangeRoutes(app, parts);
  virtualSiteRoutes(app, parts);
  historyRoutes(app, parts);
  policyRoutes(app, parts);
  planRoute(app, parts);
  policyHitsRoute(app, parts);
  schemasRoute(app);
  rolloutRoutes(app, parts);
  authorityRoutes(app, parts);
  eventsRoute(app, parts);
  doctorRoute(app, parts);
  joinRoute(app, parts);
  echoRoute(app, parts);
  sessionRoutes(app, parts);
  tokenRoutes(app, parts);
  hubRoutes(app, parts);
  await servePage(app, parts.webDir);
  return app;
}
