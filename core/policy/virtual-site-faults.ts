import { fieldOf, itemsOf } from '../json.ts';
import type { Fault } from '../schema-faults.ts';
import { selectorFaults } from './allowlist-faults.ts';
import { parseCidr } from './destination.ts';

/** The longest prefix that a guard can hold networks to: that of IPv4, from which that of IPv6 follows. */
const LONGEST_PREFIX = 32;

/**
 * What the schema of a virtual site can't say: that the selector can be read, and that guard rails are networks and a prefix
 * as nobody would take for something else. What has not even the schema's form is left to that.
 */
export function virtualSiteFaults(document: unknown): Fault[] {
  const spec = fieldOf(document, 'spec');
  const guard = fieldOf(spec, 'guard');
  const networks = itemsOf(fieldOf(guard, 'forbidden')).flatMap((network, i) => {
    const parsed = typeof network === 'string' ? parseCidr(network) : null;
    return parsed === null || !('reason' in parsed)
      ? []
      : [{ pointer: `/spec/guard/forbidden/${i}`, problem: parsed.reason, remedy: parsed.remedy }];
  });
  return [...selectorFaults(fieldOf(spec, 'selector'), '/spec/selector'), ...networks, ...tooLong(guard)];
}

function tooLong(guard: unknown): Fault[] {
  const widest = fieldOf(guard, 'widestCidr');
  if (!Number.isInteger(widest) || Number(widest) <= LONGEST_PREFIX) return [];
  return [
    {
      pointer: '/spec/guard/widestCidr',
      problem: `no IPv4 network has a prefix of ${String(widest)} bits, so that it would let none in`,
      remedy: `write 0 to ${LONGEST_PREFIX}, the shortest prefix a network may have; for IPv6 32 are added, so that 16 is a /48`,
    },
  ];
}
