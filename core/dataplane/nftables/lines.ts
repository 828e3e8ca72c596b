import type { EgressRule, IngressRule } from '../../model/allowlist.ts';
import { type PortRange, parsePeer, subtract } from '../../policy/destination.ts';

/** Whom a line is about: the addresses of a name, or networks of which an address lies in one. */
export type Reach = { family: 4 | 6; name: string } | { family: 4 | 6; networks: string[] };

/** One line of a rule: a family and a protocol, since a packet has one of each. `ports` ascend and do not touch. */
export type Line = { reach: Reach; protocol: 'tcp' | 'udp'; ports: { from: number; to: number }[] };

/** What a rule of a valid policy comes to. A peer that can't be read is a bug here: it was refused before. */
export function linesOf(rule: EgressRule | IngressRule): Line[] {
  const lines: Line[] = [];
  for (const peer of 'to' in rule ? rule.to : rule.from) {
    const parsed = parsePeer(peer);
    if (!parsed.ok) throw new Error(`rule ${rule.name}: ${parsed.faults[0]?.reason}`);
    const { destination } = parsed;
    const reaches: Reach[] =
      destination.kind === 'name'
        ? [
            { family: 4, name: destination.host },
            { family: 6, name: destination.host },
          ]
        : [{ family: destination.family, networks: subtract(destination.cidr, destination.except) }];
    for (const reach of reaches)
      for (const protocol of ['TCP', 'UDP'] as const) {
        const ports = merged(destination.ports.filter((range) => range.protocol === protocol));
        const line: Line = { reach, protocol: protocol === 'TCP' ? 'tcp' : 'udp', ports };
        if (ports.length > 0) lines.push(line);
      }
  }
  const seen = new Set<string>();
  return lines.filter((line) => {
    const key = JSON.stringify(line);
    return !seen.has(key) && seen.add(key);
  });
}

/** Names that a policy's rules open, each once. */
export function namesOf(rules: readonly EgressRule[]): string[] {
  const names = rules.flatMap(linesOf).flatMap(({ reach }) => ('name' in reach ? [reach.name] : []));
  return [...new Set(names)].sort();
}

function merged(ranges: readonly PortRange[]): { from: number; to: number }[] {
  const result: { from: number; to: number }[] = [];
  for (const { from, to } of ranges.toSorted((a, b) => a.from - b.from)) {
    const last = result.at(-1);
    if (last !== undefined && from <= last.to + 1) last.to = Math.max(last.to, to);
    else result.push({ from, to });
  }
  return result;
}
