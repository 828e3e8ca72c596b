import type { VirtualSiteSpec } from './model/resource.ts';
import { parseSelector, type Selector, selectorText as toText } from './selector.ts';

/** A stored selector. It was valid when it was stored; should a newer hub refuse it, nobody is a member. */
export function selectorOf(spec: VirtualSiteSpec): Selector | null {
  const parsed = parseSelector(spec.selector);
  return parsed.ok ? parsed.selector : null;
}

/** The selector in one canonical form; two that read alike select alike. */
export function selectorText(spec: VirtualSiteSpec): string {
  const selector = selectorOf(spec);
  return selector === null ? '(unreadable)' : toText(selector);
}
