import { createAgent } from '../collectors/agent/agent.ts';
import type { Envelope } from '../core/model/signed.ts';
import { type Opened, openEnvelope, type TrustedKeys } from '../core/policy/sign.ts';
import { createGate } from '../simulator/policy/gate.ts';
import type { AgentFactory } from '../simulator/policy/site-policy.ts';
import { rememberedFaults } from './compile-faults.ts';

const CONFIRM_WINDOW_MS = 60_000;
/** Nothing of a simulated site runs as anybody, nor from these ports. */
const NOBODY = { uid: 65_534, probePorts: { from: 61_000, to: 61_099 } } as const;
/** Connections to the hub that are being confirmed by. */
const CONFIRMING = 64;
/** Documents that are sent to many sites at about the same time. */
const MOST_OPENED = 16;

/**
 * Makes agents as hosts run them before the simulator's dataplane, which refuses what nftables would; enforcement is on. On
 * real sites each agent has a processor of its own: here they share the work that comes out alike for all of them.
 */
export function simulatedAgents(): AgentFactory {
  const open = sharedOpen();
  const faultsOf = rememberedFaults();
  const throughGate = createGate(CONFIRMING);
  return ({ isDisarmed, link, ...parts }) => {
    const agent = createAgent({
      ...parts,
      ...NOBODY,
      enabled: true,
      endpoints: async () => [],
      compileFaults: faultsOf,
      link: {
        listen: (holdings, onDocuments) => link.listen(holdings, onDocuments),
        tell: (holdings) => link.tell(holdings),
        confirm: (withinMs) => throughGate(() => link.confirm(withinMs)),
      },
      marker: { isSet: isDisarmed, set() {}, clear() {}, watch: () => () => undefined },
      confirmWindowMs: CONFIRM_WINDOW_MS,
      open,
    });
    return {
      start: () => agent.start(),
      read: () => agent.probe.read(new AbortController().signal),
      stop: () => agent.stop(),
    };
  };
}

/** The same bytes under the same signature by the same key are as good for everybody. */
function sharedOpen(): typeof openEnvelope {
  const held = new Map<string, { payload: string; opened: Opened }>();
  return (envelope: Envelope, trusted: TrustedKeys) => {
    const { keyId, signature, payload } = envelope;
    const publicKey = trusted.find(({ id }) => id === keyId)?.publicKey;
    const name = `${publicKey} ${keyId} ${signature}`;
    const known = held.get(name);
    if (known?.payload === payload) return known.opened;
    const opened = openEnvelope(envelope, trusted);
    const [oldest] = held.keys();
    if (held.size >= MOST_OPENED && oldest !== undefined) held.delete(oldest);
    if (opened.ok && opened.body.type !== 'site') held.set(name, { payload, opened });
    return opened;
  };
}
