import { isDeepStrictEqual } from 'node:util';
import type { Site } from '../../core/model/resource.ts';
import { type SiteBody, siteKey, TENANT } from '../../core/model/signed.ts';
import { type SigningKey, signBody } from '../../core/policy/sign.ts';
import type { TableEntry } from '../../core/ports/table.ts';
import type { Published } from './published.ts';

/**
 * What the hub says of a site, when it has not said it yet; null when it has. `n` is the time from which the labels hold,
 * or one more than the last: a site that is registered anew under its old name goes on above what it may have seen.
 */
export function siteEntry(
  name: string,
  site: Site | undefined,
  published: Published<SiteBody> | undefined,
  epoch: number,
  signer: SigningKey,
): TableEntry | null {
  const key = siteKey(name);
  if (site === undefined) return published === undefined ? null : { key, value: null };
  const { labels, labelsSinceMs } = site.spec;
  const before = published?.body;
  const isSaid =
    before !== undefined && before.version.epoch === epoch && isDeepStrictEqual(before.labels, labels);
  if (isSaid && published?.keyId === signer.id) return null;
  const n = isSaid ? before.version.n : Math.max((before?.version.n ?? 0) + 1, labelsSinceMs);
  const body: SiteBody = { type: 'site', tenant: TENANT, site: name, labels, version: { epoch, n } };
  return { key, value: Buffer.from(JSON.stringify(signBody(body, signer))) };
}
