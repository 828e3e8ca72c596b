import { isDeepStrictEqual } from 'node:util';
import { API_VERSION } from '../../core/model/metadata.ts';
import type { Site, VirtualSite, VirtualSiteDocument } from '../../core/model/resource.ts';
import { virtualSiteFaults } from '../../core/policy/virtual-site-faults.ts';
import { matches } from '../../core/selector.ts';
import { selectorOf } from '../../core/selector-of.ts';
import { Draft } from '../draft.ts';
import type { Registered } from '../registry.ts';
import { crowded } from './crowded.ts';
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
  const [fault] = virtualSiteFaults(document);
  if (fault !== undefined)
    return refuse(
      fault.pointer.startsWith('/spec/selector') ? 'invalid-selector' : 'invalid-document',
      `${fault.pointer} of VirtualSite ${name}: ${fault.problem}; ${fault.remedy}`,
      fault.pointer,
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
  return crowded(sitesOf(after, registered), registered, changed);
}

function sitesOf({ spec }: VirtualSite, registered: Registered): Iterable<Site> {
  const selector = selectorOf(spec);
  return selector === null
    ? []
    : [...registered.allSites()].filter((site) => matches(selector, site.spec.labels));
}
