import { createHash } from 'node:crypto';
import type { EnforcedPolicy } from '../../ports/enforcer.ts';

/*
 * What things are called in the kernel: a letter for what it is and a hash of what it stands for, never a name that somebody
 * chose. The model has the meaning of each.
 */

export const FAMILY = 'inet';
export const TABLE = 'plumbline';

/** Of the packet mark, only these bits are used, and only while a packet is being judged. */
export const ALLOWED_BIT = 0x20000;
export const AUDITED_BIT = 0x40000;

export type Direction = 'egress' | 'ingress';
export type Hook = 'output' | 'forward';

type Prefix =
  | 'n4_' // addresses of a name
  | 'n6_'
  | 's4_' // destinations that were let through
  | 's6_'
  | 'd4_' // destinations that were refused
  | 'd6_'
  | 'a4_' // destinations that an audit would have refused
  | 'a6_'
  | 'c_' // counters: hits of a rule
  | 'p_' // and those of the site's own probes
  | 'dc_' // denies of a policy
  | 'dp_'
  | 'w_' // chains: a workload's direction
  | 'r_' // the destinations of a rule
  | 'h_' // what is done when one of them matches
  | 'au_' // a policy's audit of a workload's direction
  | 'no_' // the refusal of a workload's direction
  | 'np_'; // and that of the site's own probes

export function identifier(prefix: Prefix, ...parts: readonly (string | number)[]): string {
  const hash = createHash('sha256').update(parts.join('\0')).digest('hex');
  return `${prefix}${hash.slice(0, 16)}`;
}

/** What tells one generation of a policy from every other, in the order in which its parts are hashed. */
export function generationKey({ kind, name, generation, digest }: EnforcedPolicy): (string | number)[] {
  return [kind, name, generation, digest];
}

export function nameSet(host: string, family: 4 | 6): string {
  return identifier(family === 4 ? 'n4_' : 'n6_', host);
}
