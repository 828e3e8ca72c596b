import type { Assigned, IntentKind, Version } from '../core/model/signed.ts';
import type { SiteKind } from '../core/model/site.ts';
import { type KeyTrust, NOBODY_DISTRUSTS } from './key-trust.ts';
import type { Hold } from './losses.ts';

export type PublishedPolicy = {
  version: Version;
  generation: number;
  /** What its target says virtual sites run, apart from what is on its way. */
  current: { virtualSite: string; assigned: Assigned }[];
};

/** What is known of policy outside of table `resources`, for commands that depend on it. */
export type PolicyFacts = {
  /** Why policy is read-only at the moment; none when it is not. */
  holds(): readonly Hold[];
  /** Which sites refuse what this hub signs. */
  distrust(): KeyTrust;
  /** The newest that was ever published under this name, also of a policy that was deleted. */
  published(kind: IntentKind, name: string): PublishedPolicy | null;
  /** By `<kind>/<name>`, the newest generation that any site says it has. */
  reported(): Record<string, number>;
  /** The highest epoch that anything was published in, or that a site plausibly says it has seen. */
  highestEpoch(): number;
  /** Policies, as `<kind>/<name>`, that are published or at sites, and that this hub does not have. */
  unknown(): string[];
  /** Keys of policy's resources that can't be read. */
  unreadable(): string[];
  /** What a site says it is; null while it has said nothing. */
  kindOf(site: string): SiteKind | null;
};

/** Of a hub that has published nothing. */
export const NOTHING_PUBLISHED: PolicyFacts = {
  holds: () => [],
  distrust: () => NOBODY_DISTRUSTS,
  published: () => null,
  reported: () => ({}),
  highestEpoch: () => 1,
  unknown: () => [],
  unreadable: () => [],
  kindOf: () => null,
};
