import { isIP } from 'node:net';
import { isDeepStrictEqual } from 'node:util';
import { API_VERSION } from '../../core/model/metadata.ts';
import type { VirtualSite, VirtualSiteDocument } from '../../core/model/resource.ts';
import { parseSelector } from '../../core/selector.ts';
import { Draft } from '../draft.ts';
import type { Registered } from '../registry.ts';
import { type Asked, full, MOST, type Outcome, refuse, stamp } from './outcome.ts';
import { unfitSelector } from './stage-rules.ts';
import { tooLong } from './target-size.ts';
import { usersOf } from './users-of.ts';

/** Creates a virtual site or makes it what the document says. The same document again changes nothing. */
export function applyVirtualSite(
  document: VirtualSiteDocument,
  asked: Asked,
  registered: Registered,
): Outcome {
  const { name } = document.metadata;
  const { spec } = document;
  const selector = parseSelector(spec.selector);
  if (!selector.ok)
    return refuse(
      'invalid-selector',
      `/spec/selector of VirtualSite ${name}, ${selector.at}: ${selector.reason}; write it as in "env in (test,prod),!maintenance"`,
    );
  for (const [i, cidr] of (spec.guard?.forbidden ?? []).entries())
    if (!isCidr(cidr))
      return refuse(
        'invalid-document',
        `/spec/guard/forbidden/${i} of VirtualSite ${name}: "${cidr}" is not a range of addresses; write it as 169.254.169.254/32`,
      );
  const before = registered.virtualSite(name);
  if (before === undefined && registered.count('VirtualSite') >= MOST.VirtualSite)
    return full('VirtualSite', 'virtual sites');
  if (before !== undefined && isDeepStrictEqual(before.spec, spec))
    return { ok: true, effect: 'unchanged', changes: [] };
  const metadata = stamp(name, asked, before?.metadata ?? null);
  const put: VirtualSite = { apiVersion: API_VERSION, kind: 'VirtualSite', metadata, spec };
  const effect = before === undefined ? 'created' : 'updated';
  return unfitForPolicy(put, registered) ?? { ok: true, effect, changes: [{ put }] };
}

/** Policies that are at a virtual site hold what it may become to what a signed target can say. */
function unfitForPolicy(after: VirtualSite, registered: Registered): Outcome | null {
  const { name } = after.metadata;
  const users = usersOf(name, registered);
  if (users.length === 0) return null;
  const changed = new Draft(registered);
  changed.add({ put: after });
  for (const { spec } of users) {
    const unfit = unfitSelector(name, after.spec, '/spec/selector') ?? tooLong(spec, changed);
    if (unfit !== null) return unfit;
  }
  return null;
}

function isCidr(text: string): boolean {
  const [address = '', bits, ...more] = text.split('/');
  const family = isIP(address);
  if (family === 0 || more.length > 0 || bits === undefined || !/^[0-9]{1,3}$/.test(bits)) return false;
  return Number(bits) <= (family === 4 ? 32 : 128);
}
