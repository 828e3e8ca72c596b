import { fastifySwagger } from '@fastify/swagger';
import { ProblemDocument } from '../routes/answers.ts';
import type { App } from './app.ts';

/** Describes every route under /api/v1 as OpenAPI 3.1, from the schemas that also check requests. */
export async function describe(app: App, version: string): Promise<void> {
  app.addSchema(ProblemDocument);
  await app.register(fastifySwagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Plumbline',
        version,
        description:
          'The hub of a fleet: its sites, what they say, and what they are told. Errors are problem documents (RFC 9457) with a stable `code`. Lists page by cursor: pass `next` as `cursor`. The live view is WebSocket /api/v1/live.',
        license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      },
      components: {
        securitySchemes: {
          bearer: { type: 'http', scheme: 'bearer', description: 'The administrator’s or a Token’s token.' },
          session: { type: 'apiKey', in: 'cookie', name: 'plumbline_session_PORT' },
        },
      },
      security: [{ bearer: [] }, { session: [] }],
    },
    hideUntagged: true,
    refResolver: {
      buildLocalReference: (schema, _base, _fragment, i) => String(schema.$id ?? `schema-${i}`),
    },
  });
}
