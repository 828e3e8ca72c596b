import type { Labels } from './model/site.ts';

/** Prefixes of labels that a site says of itself; given labels may not begin with one. */
const DISCOVERED_PREFIX = 'discovered/';
const PROPOSED_PREFIX = 'proposed/';

/** What selectors look at: given labels as they are, discovered and proposed ones under their prefixes. */
export function siteLabels(
  given: Labels,
  said: { discovered: Labels; proposed?: Labels | undefined } | null,
): Labels {
  if (said === null) return given;
  const joined: Labels = { ...given };
  for (const [key, value] of Object.entries(said.discovered)) joined[DISCOVERED_PREFIX + key] = value;
  for (const [key, value] of Object.entries(said.proposed ?? {})) joined[PROPOSED_PREFIX + key] = value;
  return joined;
}

/** The first given label that pretends to be one a site says of itself, or null. */
export function reservedLabel(given: Labels): string | null {
  const isReserved = (key: string) => key.startsWith(DISCOVERED_PREFIX) || key.startsWith(PROPOSED_PREFIX);
  return Object.keys(given).find(isReserved) ?? null;
}
