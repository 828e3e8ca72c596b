import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fastifyStatic } from '@fastify/static';
import { problem } from '../../core/problem.ts';
import type { App } from './app.ts';
import { sendProblem } from './problem-reply.ts';

/** Built files have their content's hash in the name, so they never change. */
const HASHED = /\/assets\//;

/** The live page. Addresses that name no file are the page's own, and it shows what they mean. */
export async function servePage(app: App, webDir: string): Promise<void> {
  const isBuilt = existsSync(join(webDir, 'index.html'));
  if (isBuilt)
    await app.register(fastifyStatic, {
      root: webDir,
      wildcard: true,
      cacheControl: false,
      setHeaders: (reply, path) => {
        reply.header('cache-control', HASHED.test(path) ? 'public, max-age=31536000, immutable' : 'no-cache');
      },
    });
  app.setNotFoundHandler((request, reply) => {
    const isPage = request.method === 'GET' && request.headers.accept?.includes('text/html') === true;
    if (isPage && isBuilt && !request.url.startsWith('/api/')) return reply.sendFile('index.html');
    const detail = isPage
      ? 'the live page is not built; run `npm run build:web`, or use the CLI'
      : 'there is nothing at this address; /api/v1/openapi.json lists what there is';
    return sendProblem(reply, problem('not-found', detail));
  });
}
