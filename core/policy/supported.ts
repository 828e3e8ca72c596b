import type { SiteKind } from '../model/site.ts';

/** Sites of these kinds have no enforcer for allowlists in this version; of an unknown kind, it is taken to have one. */
const WITHOUT_ENFORCER: ReadonlySet<SiteKind> = new Set(['kubernetes', 'hosted-control-plane']);

/** `said` is what the site says it is, `given` what it was registered as. */
export function isSupported(said: SiteKind | null, given: SiteKind | undefined): boolean {
  const kind = said ?? given;
  return kind === undefined || !WITHOUT_ENFORCER.has(kind);
}
