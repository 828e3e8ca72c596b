import { createAgent } from '../collectors/agent/agent.ts';
import { compileFaults } from '../core/dataplane/nftables/faults.ts';
import type { AgentParts, SimulatedAgent } from '../simulator/policy/site-policy.ts';

const CONFIRM_WINDOW_MS = 60_000;
/** Nothing of a simulated site runs as anybody, nor from these ports. */
const NOBODY = { uid: 65_534, probePorts: { from: 61_000, to: 61_099 } } as const;

/** The agent of hosts before the simulator's dataplane, which refuses what nftables would. Enforcement is on. */
export function createSimulatedAgent({ isDisarmed, ...parts }: AgentParts): SimulatedAgent {
  const agent = createAgent({
    ...parts,
    ...NOBODY,
    enabled: true,
    endpoints: async () => [],
    compileFaults: (policy, workloads) =>
      compileFaults([policy], workloads).map(({ at, reason, remedy }) => ({
        pointer: at,
        problem: reason,
        remedy,
      })),
    marker: { isSet: isDisarmed, set() {}, clear() {}, watch: () => () => undefined },
    confirmWindowMs: CONFIRM_WINDOW_MS,
  });
  return {
    start: () => agent.start(),
    read: () => agent.probe.read(new AbortController().signal),
    stop: () => agent.stop(),
  };
}
