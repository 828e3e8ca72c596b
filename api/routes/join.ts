import { resourceKey } from '../../core/model/resource.ts';
import { bootCounter } from '../../core/model/site.ts';
import { JoinAnswer, JoinRequest } from '../../core/model/view.ts';
import type { Store } from '../../core/ports/store.ts';
import { problem } from '../../core/problem.ts';
import { deriveSiteKey, sameSecret } from '../../core/seal.ts';
import type { App } from '../http/app.ts';
import { sendProblem } from '../http/problem-reply.ts';
import { tokenHash } from '../sign-in/sign-in.ts';
import { answers } from './answers.ts';
import type { RouteParts } from './parts.ts';
import { refuseForNow } from './session.ts';

type Parts = Pick<
  RouteParts,
  'directory' | 'commands' | 'attempts' | 'clock' | 'master' | 'logger' | 'store'
>;

/** The exchange of an invitation's secret for a site's key. Open to everybody, so it costs little until the secret is right. */
export function joinRoute(app: App, parts: Parts): void {
  const { directory, commands, attempts, clock, master, logger, store } = parts;
  app.route({
    method: 'POST',
    url: '/api/v1/join',
    schema: {
      tags: ['sites'],
      summary: 'Join a site with the secret of its invitation',
      description: 'The same installation may repeat it with the same secret; another one gets `token-used`.',
      security: [],
      body: JoinRequest,
      response: answers(JoinAnswer),
    },
    handler: async ({ body: { site, secret, instance }, ip }, reply) => {
      const waitS = attempts.waitS(ip, clock.nowMs());
      if (waitS > 0) return refuseForNow(reply, waitS);
      const secretHash = tokenHash(secret);
      const invited = directory().sites.get(site)?.spec.join;
      // Control decides; but nobody without the secret makes it work or fills its log.
      if (invited === undefined || !sameSecret(invited.secretHash, secretHash)) {
        attempts.failed(ip, clock.nowMs());
        logger.warn({ site, address: ip }, 'site.join.refused');
        return sendProblem(
          reply,
          problem(
            'unauthorized',
            `this is not an invitation of site ${site}: it was replaced by a later one, or the site was removed; make a new one at the hub with \`plumbline site token ${site}\``,
            [{ pointer: '/secret', detail: 'take the newest join token of this site' }],
          ),
        );
      }
      const done = await commands().submit({ by: `site:${site}`, role: 'site' }, resourceKey('Site', site), {
        verb: 'site.join',
        site,
        secretHash,
        instance,
      });
      if (!done.ok) return sendProblem(reply, done.problem);
      const keyEpoch = directory().sites.get(site)?.spec.keyEpoch;
      if (keyEpoch === undefined)
        return sendProblem(
          reply,
          problem('not-found', `site ${site} was removed while it joined; add it again`),
        );
      const key = deriveSiteKey(master, site, keyEpoch).toString('base64url');
      const bootsBefore = await countBoots(store, site);
      return { site, keyEpoch, key, hubTimeMs: clock.nowMs(), bootsBefore } satisfies JoinAnswer;
    },
  });
}

/** The newest boot's counter of whatever was installed at the site before; a site installed anew goes on from there. */
async function countBoots(store: Store, site: string): Promise<number> {
  const sql = 'SELECT max(toString(boot)) AS newest FROM plumbline.boot_ledger WHERE site = {site:String}';
  const [row] = await store.query<{ newest: string }>(sql, { site });
  return row === undefined || row.newest === '' ? 0 : bootCounter(row.newest);
}
