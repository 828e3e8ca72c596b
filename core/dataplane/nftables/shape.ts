import { canonicalJson } from '../../policy/digest.ts';
import type { Hook } from './identifiers.ts';
import type { Fields } from './listing.ts';
import type { Chain, DataSet } from './model.ts';

/* What chains and sets are beside what is in them. */

/** Priority 0 is `filter`: after a destination has been rewritten, so that what is judged is where a packet really goes. */
export function baseFields(hook: Hook | null): { readonly [key: string]: string | number } {
  return hook === null ? {} : { type: 'filter', hook, prio: 0, policy: 'accept' };
}

/** How a chain differs that was listed; null when it does not. */
export function chainFault(chain: Chain, listed: Fields): string | null {
  return fieldFault(baseFields(chain.hook), listed);
}

export function setFault({ type, dynamic, timeoutS, size }: DataSet, listed: Fields): string | null {
  const kept = timeoutS === null ? {} : { timeout: timeoutS };
  const counting = dynamic ? { stmt: [{ counter: null }] } : {};
  const flags = Array.isArray(listed.flags) ? listed.flags.filter((flag) => flag !== 'dynamic') : [];
  return fieldFault({ type, flags: ['timeout'], size, ...kept, ...counting }, { ...listed, flags });
}

function fieldFault(wanted: Fields, listed: Fields): string | null {
  for (const key of new Set([...Object.keys(wanted), ...Object.keys(listed)])) {
    const [want, have] = [wanted[key], listed[key]];
    if (want === undefined) return `it has ${key} ${canonicalJson(have)}`;
    if (have === undefined) return `it has no ${key} (${canonicalJson(want)})`;
    if (canonicalJson(want) !== canonicalJson(have))
      return `its ${key} is ${canonicalJson(have)}, not ${canonicalJson(want)}`;
  }
  return null;
}
