import type { AllowlistSpec } from '../../core/model/allowlist.ts';
import { contains, type Destination, type Peer, parsePeer } from '../../core/policy/destination.ts';
import { matches, parseSelector, type Selector } from '../../core/selector.ts';
import type { Attempt } from './modelled.ts';

export type Rules = {
  selector: Selector;
  egress: readonly Rule[] | null;
  ingress: readonly Rule[] | null;
};
type Rule = { name: string; destinations: readonly Destination[] };

/** Specifications that were read, by digest: a fleet's sites have the same ones. Oldest go first. */
const read = new Map<string, Rules>();
const MOST_READ = 256;

export function rulesOf(digest: string, spec: AllowlistSpec): Rules {
  const known = read.get(digest);
  if (known !== undefined) return known;
  const parsed = parseSelector(spec.workloads);
  const rules: Rules = {
    selector: parsed.ok ? parsed.selector : [],
    egress: spec.egress?.map(({ name, to }) => ({ name, destinations: destinationsOf(to) })) ?? null,
    ingress: spec.ingress?.map(({ name, from }) => ({ name, destinations: destinationsOf(from) })) ?? null,
  };
  for (const oldest of read.keys()) if (read.size >= MOST_READ) read.delete(oldest);
  read.set(digest, rules);
  return rules;
}

export function selects({ selector }: Rules, labels: Record<string, string>): boolean {
  return matches(selector, labels);
}

/** Names of the rules that let it through; null where the policy has nothing to say about its direction. */
export function matching(
  rules: Rules,
  attempt: Pick<Attempt, 'direction' | 'address' | 'port' | 'protocol'>,
  names: ReadonlyMap<string, ReadonlySet<string>>,
): string[] | null {
  const those = rules[attempt.direction];
  if (those === null) return null;
  const { address, port, protocol } = attempt;
  const isOpen = (destination: Destination): boolean => {
    const isPort = destination.ports.some(
      (range) => range.protocol === protocol && range.from <= port && port <= range.to,
    );
    if (!isPort) return false;
    if (destination.kind === 'name') return names.get(destination.host)?.has(address) ?? false;
    const { cidr, except } = destination;
    return contains(cidr, address) && !except.some((hole) => contains(hole, address));
  };
  return those.filter(({ destinations }) => destinations.some(isOpen)).map(({ name }) => name);
}

function destinationsOf(peers: readonly Peer[]): Destination[] {
  return peers.map(parsePeer).flatMap((parsed) => (parsed.ok ? [parsed.destination] : []));
}
