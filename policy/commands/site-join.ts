import type { Command } from '../../core/model/resource.ts';
import { sameSecret } from '../../core/seal.ts';
import type { Registered } from '../registry.ts';
import { type Asked, type Outcome, refuse, stamp } from './outcome.ts';

type Joining = Extract<Command['do'], { verb: 'site.join' }>;

/**
 * Uses up a site's invitation. The installation that used it may ask again with the same secret, also after the
 * invitation expired: it did not get the answer, and without it could never join.
 */
export function joinSite(command: Joining, asked: Asked, registered: Registered): Outcome {
  const { site: name, instance } = command;
  const remedy = `make a new one at the hub with \`plumbline site token ${name}\``;
  const before = registered.site(name);
  if (before === undefined)
    return refuse(
      'not-found',
      `the hub knows no site named ${name} (it may have been removed); register it with \`plumbline site add ${name}\``,
    );
  const { join } = before.spec;
  if (join === undefined || !sameSecret(join.secretHash, command.secretHash))
    return refuse(
      'unauthorized',
      `this is not the newest join token of site ${name}, a later one replaced it; use that, or ${remedy}`,
    );
  if (join.instance === instance) return { ok: true, effect: 'unchanged', changes: [] };
  if (join.instance !== undefined)
    return refuse('token-used', `another collector joined as ${name} with this token already; ${remedy}`);
  if (asked.nowMs > join.expiresAtMs)
    return refuse(
      'token-expired',
      `the join token of site ${name} expired at ${new Date(join.expiresAtMs).toISOString()}; ${remedy}`,
    );
  const spec = { ...before.spec, join: { ...join, instance, joinedAtMs: asked.nowMs } };
  return {
    ok: true,
    effect: 'updated',
    changes: [{ put: { ...before, metadata: stamp(name, asked, before.metadata), spec } }],
  };
}
