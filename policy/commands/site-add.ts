import { API_VERSION } from '../../core/model/metadata.ts';
import type { Command, Site } from '../../core/model/resource.ts';
import { reservedLabel } from '../../core/site-labels.ts';
import type { Registered } from '../registry.ts';
import { crowded } from './crowded.ts';
import { type Asked, full, MOST, type Outcome, refuse, stamp } from './outcome.ts';

type Addition = Extract<Command['do'], { verb: 'site.add' }>;

/**
 * Registers a site with an invitation, or gives a site that exists a new one (`renew`).
 *
 * A new invitation raises the key epoch: it is made when a collector is installed anew or its machine was lost, so
 * whoever holds the old key must not speak for the site any more. Reports that were sealed with the old key and have
 * not arrived are quarantined. Labels and kind stay what they are.
 *
 * A key epoch is the time at which it began, not a count: a site that is removed and added again under its old name
 * then never comes back to an epoch of which a key is still around.
 */
export function addSite(command: Addition, asked: Asked, registered: Registered): Outcome {
  const before = registered.site(command.site);
  if (!command.renew && before !== undefined)
    return refuse(
      'already-exists',
      `site ${command.site} exists already; \`plumbline site token ${command.site}\` makes a new invitation for it`,
    );
  const join = { secretHash: command.joinSecretHash, expiresAtMs: command.joinExpiresAtMs };
  if (before !== undefined) {
    const keyEpoch = Math.max(before.spec.keyEpoch + 1, asked.nowMs);
    const spec = { ...before.spec, keyEpoch, join };
    return {
      ok: true,
      effect: 'updated',
      changes: [{ put: { ...before, metadata: stamp(command.site, asked, before.metadata), spec } }],
    };
  }
  if (command.renew)
    return refuse(
      'not-found',
      `there is no site named ${command.site} to invite again; \`plumbline site add ${command.site}\` registers it`,
    );
  const reserved = reservedLabel(command.labels);
  if (reserved !== null) return refuseReserved(reserved);
  if (registered.count('Site') >= MOST.Site) return full('Site', 'sites');
  const site: Site = {
    apiVersion: API_VERSION,
    kind: 'Site',
    metadata: stamp(command.site, asked, null),
    spec: {
      ...(command.kind && { kind: command.kind }),
      labels: command.labels,
      labelsSinceMs: asked.nowMs,
      keyEpoch: Math.max(1, asked.nowMs),
      join,
    },
  };
  return crowded([site], registered, registered) ?? { ok: true, effect: 'created', changes: [{ put: site }] };
}

export function refuseReserved(key: string): Outcome {
  return refuse(
    'invalid-document',
    `label ${key} has a prefix that is kept for what a site says of itself; give the label another name`,
  );
}
