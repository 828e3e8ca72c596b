import type { PolicyStatus } from '../../core/model/policy-report.ts';
import { targetKey } from '../../core/model/signed.ts';
import type { Connection, Connections } from '../../core/ports/connections.ts';
import type { Workload } from '../../core/ports/enforcer.ts';
import { isolates, type Place, permits } from './permits.ts';
import { selectedBy } from './plan.ts';
import type { Specs } from './specs.ts';
import type { Chosen } from './state.ts';

const MAX_LISTED = 8;

export type EstablishedWorld = {
  specs: Specs;
  workloads: readonly Workload[];
  connections: Connections;
  namesOf: (address: string) => readonly string[];
  probePorts: { from: number; to: number };
  /** Whether those that the policy denies may be cut now. */
  mayCut: (policy: Chosen) => boolean;
};

/**
 * Connections that are there although a new one like them would be denied: they began before what is in force now, or to an
 * address of a name that is no longer known for it. A policy that says so has the first cut, where the machine can: those that
 * are there right after a change.
 */
export async function listEstablished(
  policies: readonly Chosen[],
  world: EstablishedWorld,
): Promise<Map<string, PolicyStatus['established']>> {
  const specs = policies.flatMap((policy) => {
    const spec = world.specs.get(policy.digest);
    return spec === null ? [] : [{ policy, spec }];
  });
  const found = new Map<string, PolicyStatus['established']>();
  const open = new Map<Workload, Connection[]>();
  for (const workload of world.workloads) open.set(workload, await world.connections.list(workload));
  for (const { policy, spec } of specs) {
    const listed: string[] = [];
    for (const workload of selectedBy(spec, world.workloads)) {
      const others = specs
        .filter((one) => one.policy === policy || one.policy.mode === 'enforce')
        .filter((one) => selectedBy(one.spec, [workload]).length > 0);
      for (const connection of open.get(workload) ?? []) {
        const place = placeOf(connection);
        if (isOurs(connection, world.probePorts) || !isolates(spec, place.direction)) continue;
        if (others.some((one) => permits(one.spec, place, world.namesOf))) continue;
        listed.push(await settle(policy, workload, connection, world));
      }
    }
    if (listed.length > 0)
      found.set(targetKey(policy.kind, policy.name), {
        total: listed.length,
        some: listed.slice(0, MAX_LISTED),
      });
  }
  return found;
}

async function settle(
  policy: Chosen,
  workload: Workload,
  connection: Connection,
  { connections, mayCut }: EstablishedWorld,
): Promise<string> {
  const { direction, remoteAddress, remotePort } = connection;
  const text = `${workload.name} ${direction === 'egress' ? 'to' : 'from'} ${remoteAddress} port ${remotePort}`;
  if (policy.established !== 'cut' || policy.mode !== 'enforce' || !mayCut(policy)) return text;
  return `${text}: ${(await connections.cut(connection)) ? 'cut' : 'unable to cut'}`.slice(0, 120);
}

function placeOf(connection: Connection): Place {
  const { direction, protocol, remoteAddress: address, remotePort, localPort } = connection;
  return { direction, protocol, address, port: direction === 'egress' ? remotePort : localPort };
}

function isOurs({ localPort, remoteAddress }: Connection, probePorts: { from: number; to: number }): boolean {
  const isLoopback = remoteAddress === '::1' || remoteAddress.startsWith('127.');
  return isLoopback || (localPort >= probePorts.from && localPort <= probePorts.to);
}
