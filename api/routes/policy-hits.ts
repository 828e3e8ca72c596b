import Type from 'typebox';
import { PolicyHits } from '../../core/model/policy-view.ts';
import { SiteId } from '../../core/model/site.ts';
import type { App } from '../http/app.ts';
import { sendProblem } from '../http/problem-reply.ts';
import { HITS_WINDOW_MS, readHits } from '../policy/hits.ts';
import { answers, noAllowlist } from './answers.ts';
import type { RouteParts } from './parts.ts';

const Path = Type.Object({ kind: Type.String({ maxLength: 63, description: 'Allowlist' }), name: SiteId });

/** What a policy's rules decided, over all sites. */
export function policyHitsRoute(
  app: App,
  { directory, store, clock }: Pick<RouteParts, 'directory' | 'store' | 'clock'>,
): void {
  app.route({
    method: 'GET',
    url: '/api/v1/policies/:kind/:name/hits',
    schema: {
      tags: ['policies'],
      summary: 'New connections by rule, and what is refused, added up over the newest report of each site',
      params: Path,
      response: answers(PolicyHits),
    },
    handler: async ({ params: { kind, name } }, reply) => {
      if (kind !== 'Allowlist' || !directory().allowlists.has(name))
        return sendProblem(reply, noAllowlist(name));
      const hits = await readHits(store, { name, nowMs: clock.nowMs(), generation: 0 });
      return { kind, name, windowMs: HITS_WINDOW_MS, ...hits } satisfies PolicyHits;
    },
  });
}
