import Type from 'typebox';
import { SiteId } from '../../core/model/site.ts';
import { problem } from '../../core/problem.ts';
import { deriveSiteKey, echoProof, keyFrom } from '../../core/seal.ts';
import { EchoBudget } from '../gateway/echo-budget.ts';
import type { App } from '../http/app.ts';
import { sendProblem } from '../http/problem-reply.ts';
import { answers } from './answers.ts';
import type { RouteParts } from './parts.ts';

const MAX_BODY_BYTES = 1024;
/** No site ever has a key of this epoch. */
const NO_EPOCH = 0;

type Parts = Pick<RouteParts, 'directory' | 'master' | 'clock' | 'metrics'>;

/**
 * The hub proves to a site that it is there, on a connection of its own. Open to everybody: the answer is worth something
 * only to who has the site's key, and is of the same form, and made alike, for sites that there are not.
 */
export function echoRoute(app: App, { directory, master, clock, metrics }: Parts): void {
  const budget = new EchoBudget(metrics);
  app.route({
    method: 'POST',
    url: '/api/v1/sites/:id/echo',
    bodyLimit: MAX_BODY_BYTES,
    schema: {
      tags: ['sites'],
      summary: 'Have the hub prove to a site that it can be reached by a new connection',
      security: [],
      params: Type.Object({ id: SiteId }),
      body: Type.Object(
        { nonce: Type.String({ pattern: '^[A-Za-z0-9_-]{16,64}$' }) },
        { additionalProperties: false },
      ),
      response: answers(Type.Object({ proof: Type.String() })),
    },
    handler: async ({ params: { id }, body: { nonce }, ip }, reply) => {
      if (!budget.take(ip, clock.nowMs()))
        return sendProblem(
          reply,
          problem('too-many-requests', 'too many echoes were asked for from here; wait a second'),
        );
      const keyEpoch = directory().sites.get(id)?.spec.keyEpoch ?? NO_EPOCH;
      return { proof: echoProof(keyFrom(deriveSiteKey(master, id, keyEpoch)), id, nonce) };
    },
  });
}
