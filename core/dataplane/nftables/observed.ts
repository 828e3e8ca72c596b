import { canonicalAddress } from '../../policy/destination.ts';
import type { Observed, ObservedFlow } from '../../ports/enforcer.ts';
import type { Element, Listing } from './listing.ts';
import { type Model, type SetMeaning, setMeaning } from './model.ts';

/** What the table's counters and sets say. What is not there has counted nothing. */
export function observed(model: Model, listed: Listing | null): Omit<Observed, 'differences'> {
  const count = (name: string | null) => (name === null ? 0 : (listed?.counters.get(name) ?? 0));
  const flows: ObservedFlow[] = [];
  const fullSets: string[] = [];
  for (const { name, meaning, size } of model.sets) {
    const elements = listed?.sets.get(name)?.elements ?? [];
    if (elements.length >= size) fullSets.push(setMeaning(meaning));
    if (meaning.kind !== 'name') flows.push(...elements.flatMap((element) => flowOf(meaning, element)));
  }
  return {
    policies: model.policies.map(({ kind, name, generation, rules, denies, probeDenies }) => ({
      kind,
      name,
      generation,
      rules: rules.map(({ rule, hits, probeHits }) => ({
        rule,
        hits: count(hits),
        probeHits: count(probeHits),
      })),
      denies: count(denies),
      probeDenies: count(probeDenies),
    })),
    flows,
    fullSets,
  };
}

function flowOf(meaning: Exclude<SetMeaning, { kind: 'name' }>, { key, packets }: Element): ObservedFlow[] {
  const [transport, to, port] = key;
  const protocol = transport === 'tcp' || transport === 6 ? 'TCP' : 'UDP';
  const address = canonicalAddress(String(to))?.address;
  if (address === undefined || typeof port !== 'number') return [];
  const { kind, workload, direction } = meaning;
  const flow = { workload, direction, address, port, protocol, connections: packets } as const;
  if (kind === 'allowed') return [{ ...flow, verdict: 'allowed' }];
  return [{ ...flow, verdict: 'denied', mode: kind === 'audited' ? 'audit' : 'enforce' }];
}
