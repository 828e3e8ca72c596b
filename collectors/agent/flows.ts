import type { Flow } from '../../core/model/policy-report.ts';
import type { ObservedFlow } from '../../core/ports/enforcer.ts';

export type FlowReport = { flows: Flow[]; leftOut: number };

/** Picks what to report of the flows: those that changed most since they were last reported, so that all have their turn. */
export function createFlowReporter(namesOf: (address: string) => readonly string[]): {
  report(flows: readonly ObservedFlow[], most: number): FlowReport;
} {
  let reported = new Map<string, number>();
  return {
    report(flows, most) {
      const changes = flows
        .map((flow) => ({ flow, id: idOf(flow), change: flow.connections - (reported.get(idOf(flow)) ?? 0) }))
        .sort((a, b) => Math.abs(b.change) - Math.abs(a.change));
      const chosen = changes.slice(0, most);
      const next = new Map<string, number>();
      for (const { id } of changes) next.set(id, reported.get(id) ?? 0);
      for (const { id, flow } of chosen) next.set(id, flow.connections);
      reported = next;
      const leftOut = changes.slice(most).filter(({ change }) => change !== 0).length;
      return { flows: chosen.map(({ flow }) => asReported(flow, namesOf)), leftOut };
    },
  };
}

function asReported(flow: ObservedFlow, namesOf: (address: string) => readonly string[]): Flow {
  const [name] = namesOf(flow.address);
  return { ...flow, ...(name !== undefined && { name: name.slice(0, 253) }) };
}

function idOf({ workload, direction, protocol, address, port, verdict }: ObservedFlow): string {
  return `${workload} ${direction} ${protocol} ${address} ${port} ${verdict}`;
}
