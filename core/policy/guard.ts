import type { AllowlistSpec } from '../model/allowlist.ts';
import type { Assignment } from '../model/signed.ts';
import type { Fault } from '../schema-faults.ts';
import { contains, type Destination, type Peer, parsePeer, subtract } from './destination.ts';

/**
 * A destination (egress) or source (ingress) of a rule, where it stands in the specification, with what remains of a network
 * after its exceptions.
 */
type PlacedPeer = { pointer: string; destination: Destination; remaining: readonly string[] };

/** A specification never changes, and is asked about with every plan of a site. */
const read = new WeakMap<AllowlistSpec, readonly PlacedPeer[]>();

/** Every peer that can be read, in the order of the specification. */
export function peersOf(spec: AllowlistSpec): readonly PlacedPeer[] {
  const known = read.get(spec) ?? readPeers(spec);
  read.set(spec, known);
  return known;
}

function readPeers(spec: AllowlistSpec): PlacedPeer[] {
  const placed = (at: string, peer: Peer): PlacedPeer[] => {
    const parsed = parsePeer(peer);
    if (!parsed.ok) return [];
    const { destination } = parsed;
    const remaining = destination.kind === 'network' ? subtract(destination.cidr, destination.except) : [];
    return [{ pointer: at, destination, remaining }];
  };
  return [
    ...(spec.egress ?? []).flatMap(({ to }, i) =>
      to.flatMap((peer, j) => placed(`/egress/${i}/to/${j}`, peer)),
    ),
    ...(spec.ingress ?? []).flatMap(({ from }, i) =>
      from.flatMap((peer, j) => placed(`/ingress/${i}/from/${j}`, peer)),
    ),
  ];
}

/**
 * Where a specification breaks a virtual site's guard rails: what remains of a network after its exceptions must not touch
 * a forbidden one, and the network as written must not be wider than `widestCidr` (of IPv4; of IPv6 the same distance from
 * a whole /64). A name can't be judged by its address here, since nobody knows what it will resolve to: plan says so.
 * Pointers are below the specification.
 */
export function guardFaults(spec: AllowlistSpec, guard: Assignment['guard']): Fault[] {
  return peersOf(spec).flatMap((peer) => networkFaults(peer, guard));
}

function networkFaults(
  { pointer, destination, remaining }: PlacedPeer,
  { forbidden, widestCidr }: Assignment['guard'],
): Fault[] {
  if (destination.kind !== 'network') return [];
  const { cidr, family } = destination;
  const faults: Fault[] = [];
  const touched = forbidden.filter((network) => remaining.some((piece) => overlap(piece, network)));
  if (touched.length > 0)
    faults.push({
      pointer,
      problem: `${cidr} reaches ${touched.join(', ')}, which the virtual site's guard forbids`,
      remedy: 'take it out of the rule, or add it to `except`; an administrator sets the guard',
    });
  const shortest = widestCidr === null ? 0 : shortestPrefix(family, widestCidr);
  if (lengthOf(cidr) < shortest)
    faults.push({
      pointer,
      problem: `${cidr} is wider than /${shortest}, the widest that the virtual site's guard lets in`,
      remedy: `name networks of /${shortest} or smaller; an administrator sets the guard`,
    });
  return faults;
}

/** IPv4 counts from its 32 bits, IPv6 from the 64 of a network prefix. */
function shortestPrefix(family: 4 | 6, widestCidr: number): number {
  return family === 4 ? Math.min(32, widestCidr) : Math.min(128, widestCidr + 32);
}

/** Prefixes are nested or apart. */
function overlap(a: string, b: string): boolean {
  return contains(a, b) || contains(b, a);
}

function lengthOf(cidr: string): number {
  return Number(cidr.split('/')[1]);
}
