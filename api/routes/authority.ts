import Type from 'typebox';
import { resourceKey } from '../../core/model/resource.ts';
import { Applied } from '../../core/model/view.ts';
import type { App } from '../http/app.ts';
import { sendProblem } from '../http/problem-reply.ts';
import { answers } from './answers.ts';
import type { RouteParts } from './parts.ts';

/** By whose authority policy is signed: a new key, and a hub that came back from a backup. */
export function authorityRoutes(app: App, { commands }: Pick<RouteParts, 'commands'>): void {
  const key = resourceKey('Issuer', 'hub');
  app.route({
    method: 'POST',
    url: '/api/v1/keys/rotate',
    schema: {
      tags: ['hub'],
      summary: 'Sign policy with a new key from now on',
      description: 'The key before still counts, unless it is revoked.',
      querystring: Type.Object(
        { revoke: Type.Optional(Type.Boolean({ description: 'Let only the new key count' })) },
        { additionalProperties: false },
      ),
      response: answers(Applied),
    },
    handler: async ({ principal, query: { revoke } }, reply) => {
      const wanted = { verb: 'keys.rotate', ...(revoke !== undefined && { revoke }) } as const;
      const done = await commands().submit(principal, key, wanted);
      if (!done.ok) return sendProblem(reply, done.problem);
      return { effect: done.effect, kind: 'Keys', name: 'hub' } satisfies Applied;
    },
  });
  app.route({
    method: 'POST',
    url: '/api/v1/hub/restore',
    schema: {
      tags: ['hub'],
      summary: 'Take policy up again after the hub came back from a backup and its sites are ahead of it',
      response: answers(Applied),
    },
    handler: async ({ principal }, reply) => {
      const done = await commands().submit(principal, key, { verb: 'hub.restore' });
      if (!done.ok) return sendProblem(reply, done.problem);
      return { effect: done.effect, kind: 'Hub', name: 'hub' } satisfies Applied;
    },
  });
}
