import Type from 'typebox';
import { resourceKey } from '../../core/model/resource.ts';
import { Applied, Restored } from '../../core/model/view.ts';
import { readHandedOver } from '../doctor/read-ledgers.ts';
import { settledLedgers } from '../doctor/settled-ledgers.ts';
import type { App } from '../http/app.ts';
import { sendProblem } from '../http/problem-reply.ts';
import { answers } from './answers.ts';
import type { RouteParts } from './parts.ts';

/** As many sites as the issuer keeps it of (policy/commands/issue.ts). */
const MOST_NOTED = 4096;

type Parts = Pick<RouteParts, 'commands' | 'store' | 'fleet' | 'directory'>;

/** By whose authority policy is signed: a new key, and a hub that came back from a backup. */
export function authorityRoutes(app: App, parts: Parts): void {
  const { commands } = parts;
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
      const { effect } = done;
      return { effect, kind: 'Keys', name: 'hub', ...stays(done) } satisfies Applied;
    },
  });
  app.route({
    method: 'POST',
    url: '/api/v1/hub/restore',
    schema: {
      tags: ['hub'],
      summary: 'Go on after the hub came back from a backup',
      description:
        'Where sites are ahead of this hub, policy is taken up again above them. Reports that are missing by now are taken for lost by the restore. Nothing is changed where there is nothing to restore.',
      response: answers(Restored),
    },
    handler: async ({ principal }, reply) => {
      const short = (await settledLedgers(parts)).filter((ledger) => ledger.missing > 0);
      const missing = short.reduce((sum, ledger) => sum + ledger.missing, 0);
      const sites = short.map(({ site }) => site).slice(0, MOST_NOTED);
      const handedOver = missing === 0 ? {} : await readHandedOver(parts.store, sites);
      const wanted = { verb: 'hub.restore', missing, handedOver } as const;
      const done = await commands().submit(principal, key, wanted);
      if (!done.ok) return sendProblem(reply, done.problem);
      const { effect, detail } = done;
      return { effect, kind: 'Hub', name: 'hub', detail, ...stays(done) } satisfies Restored;
    },
  });
}

function stays({ warning }: { warning?: string }): { warning?: string } {
  return warning === undefined ? {} : { warning };
}
