import { randomBytes } from 'node:crypto';
import Type from 'typebox';
import { resourceKey } from '../../core/model/resource.ts';
import { ROLES } from '../../core/model/role.ts';
import { SiteId } from '../../core/model/site.ts';
import { Applied, TokenPage, TokenView } from '../../core/model/view.ts';
import type { App } from '../http/app.ts';
import { sendProblem } from '../http/problem-reply.ts';
import { IfMatch, readIfMatch, sendRevision } from '../http/revision.ts';
import { tokenHash } from '../sign-in/sign-in.ts';
import { answers, badCursor } from './answers.ts';
import { PageQuery, pageOf } from './paging.ts';
import type { RouteParts } from './parts.ts';

const Creation = Type.Object({ name: SiteId, role: Type.Enum(ROLES) }, { additionalProperties: false });
const Query = Type.Object(PageQuery, { additionalProperties: false });
const Path = Type.Object({ name: SiteId });

/** Access for people and programs; only hashes of tokens are kept. */
export function tokenRoutes(app: App, parts: Pick<RouteParts, 'directory' | 'commands' | 'clock'>): void {
  const { directory, commands, clock } = parts;
  app.route({
    method: 'GET',
    url: '/api/v1/tokens',
    schema: { tags: ['tokens'], summary: 'List tokens', querystring: Query, response: answers(TokenPage) },
    handler: async ({ query }, reply) => {
      const { tokens } = directory();
      const page: TokenPage | null = pageOf([...tokens.keys()].sort(), query, (name) => {
        const token = tokens.get(name);
        if (token === undefined) return undefined;
        return { name, role: token.spec.role, createdAtMs: token.metadata.createdAtMs };
      });
      return page ?? sendProblem(reply, badCursor());
    },
  });
  app.route({
    method: 'POST',
    url: '/api/v1/tokens',
    schema: {
      tags: ['tokens'],
      summary: 'Make a token; it is shown this once',
      body: Creation,
      response: answers(TokenView, 201),
    },
    handler: async ({ body: { name, role }, principal }, reply) => {
      const token = `plt_${randomBytes(24).toString('base64url')}`;
      const done = await commands().submit(principal, resourceKey('Token', name), {
        verb: 'token.create',
        name,
        role,
        tokenHash: tokenHash(token),
      });
      if (!done.ok) return sendProblem(reply, done.problem);
      sendRevision(reply, done.stands);
      const createdAtMs = directory().tokens.get(name)?.metadata.createdAtMs ?? clock.nowMs();
      return reply.code(201).send({ name, role, createdAtMs, token } satisfies TokenView);
    },
  });
  app.route({
    method: 'DELETE',
    url: '/api/v1/tokens/:name',
    schema: {
      tags: ['tokens'],
      summary: 'Delete a token, and end the sessions that were opened with it',
      params: Path,
      headers: IfMatch,
      response: answers(Applied),
    },
    handler: async ({ params: { name }, headers, principal }, reply) => {
      const meant = readIfMatch(headers);
      if (!meant.ok) return sendProblem(reply, meant.problem);
      const key = resourceKey('Token', name);
      const wanted = { verb: 'delete', kind: 'Token', name } as const;
      const done = await commands().submit(principal, key, wanted, meant.revision);
      if (!done.ok) return sendProblem(reply, done.problem);
      return { effect: done.effect, kind: 'Token', name } satisfies Applied;
    },
  });
}
