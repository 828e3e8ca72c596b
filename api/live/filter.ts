import type { LiveRequest, SiteView } from '../../core/model/view.ts';
import { matches, parseSelector, type Selector } from '../../core/selector.ts';

export type Wanted = NonNullable<LiveRequest['filter']>;

/** Which sites a list or a subscription wants. `key` is the same for filters that are the same. */
export type Filter = { readonly key: string; wants(view: SiteView): boolean };
export type ReadFilter = { ok: true; filter: Filter } | { ok: false; detail: string };

/** A virtual site that is not there selects nobody, and its members once it is. */
export function readFilter({ virtualSite, selector: text }: Wanted): ReadFilter {
  let selector: Selector = [];
  if (text !== undefined) {
    const parsed = parseSelector(text);
    if (!parsed.ok)
      return {
        ok: false,
        detail: `the selector is wrong at ${parsed.at}: ${parsed.reason}; write it as "env in (prod,test),!maintenance"`,
      };
    selector = parsed.selector;
  }
  return {
    ok: true,
    filter: {
      key: JSON.stringify([virtualSite ?? null, selector]),
      wants: (view) =>
        (virtualSite === undefined || view.virtualSites.includes(virtualSite)) &&
        matches(selector, view.labels),
    },
  };
}
