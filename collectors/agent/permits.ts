import type { AllowlistSpec } from '../../core/model/allowlist.ts';
import {
  contains,
  type Destination,
  type Peer,
  type PortRange,
  parsePeer,
} from '../../core/policy/destination.ts';

/** One end of a new connection that policies judge: where it goes to, or where it comes from and to which own port. */
export type Place = {
  direction: 'egress' | 'ingress';
  address: string;
  port: number;
  protocol: 'TCP' | 'UDP';
};

/** Whether the policy has anything to say about a direction. */
export function isolates(spec: AllowlistSpec, direction: Place['direction']): boolean {
  return (direction === 'egress' ? spec.egress : spec.ingress) !== undefined;
}

/** Whether a rule of the policy lets it through; a name has the addresses that `namesOf` knows for it. */
export function permits(
  spec: AllowlistSpec,
  place: Place,
  namesOf: (address: string) => readonly string[],
): boolean {
  return destinationsOf(spec)[place.direction].some((destination) => {
    if (!destination.ports.some((range) => isIn(range, place))) return false;
    if (destination.kind === 'name') return namesOf(place.address).includes(destination.host);
    return (
      contains(destination.cidr, place.address) &&
      !destination.except.some((hole) => contains(hole, place.address))
    );
  });
}

type Destinations = Record<Place['direction'], Destination[]>;
/** A specification never changes, and is asked about with every flow. */
const read = new WeakMap<AllowlistSpec, Destinations>();

function destinationsOf(spec: AllowlistSpec): Destinations {
  const known = read.get(spec);
  if (known !== undefined) return known;
  const all = (peers: readonly Peer[]) =>
    peers.map(parsePeer).flatMap((parsed) => (parsed.ok ? [parsed.destination] : []));
  const destinations = {
    egress: all((spec.egress ?? []).flatMap(({ to }) => to)),
    ingress: all((spec.ingress ?? []).flatMap(({ from }) => from)),
  };
  read.set(spec, destinations);
  return destinations;
}

function isIn(range: PortRange, { protocol, port }: Place): boolean {
  return range.protocol === protocol && range.from <= port && port <= range.to;
}
