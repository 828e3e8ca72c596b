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

type Held = { generation: number; total: number; some: string[] };

/**
 * Connections that are there although a new one like them would be denied: they began before what is in force now, or to an
 * address of a name that is no longer known for it. A policy that says so has the first cut, where the machine can: those that
 * are there right after a change. What a generation cut is told for as long as it is in force.
 */
export class Established {
  readonly #cut = new Map<string, Held>();

  async list(
    policies: readonly Chosen[],
    world: EstablishedWorld,
  ): Promise<Map<string, PolicyStatus['established']>> {
    const specs = policies.flatMap((policy) => {
      const spec = world.specs.get(policy.digest);
      return spec === null ? [] : [{ policy, spec }];
    });
    const open = new Map<Workload, Connection[]>();
    for (const workload of world.workloads) open.set(workload, await world.connections.list(workload));
    const found = new Map<string, PolicyStatus['established']>();
    for (const { policy, spec } of specs) {
      const { total, some } = this.#cutBy(policy);
      const listed = { total, some: [...some] };
      for (const workload of selectedBy(spec, world.workloads)) {
        const others = specs
          .filter((one) => one.policy === policy || one.policy.mode === 'enforce')
          .filter((one) => selectedBy(one.spec, [workload]).length > 0);
        for (const connection of open.get(workload) ?? []) {
          const place = placeOf(connection);
          if (isOurs(connection, world.probePorts) || !isolates(spec, place.direction)) continue;
          if (others.some((one) => permits(one.spec, place, world.namesOf))) continue;
          add(listed, await this.#settle(policy, workload, connection, world));
        }
      }
      if (listed.total > 0) found.set(keyOf(policy), listed);
    }
    this.#forgetAllBut(policies);
    return found;
  }

  async #settle(
    policy: Chosen,
    workload: Workload,
    connection: Connection,
    { connections, mayCut }: EstablishedWorld,
  ): Promise<string> {
    const text = textOf(workload, connection);
    if (policy.established !== 'cut' || policy.mode !== 'enforce' || !mayCut(policy)) return text;
    if (!(await connections.cut(connection))) return `${text}: unable to cut`.slice(0, 120);
    const held = this.#cutBy(policy);
    const said = `${text}: cut`.slice(0, 120);
    add(held, said);
    this.#cut.set(keyOf(policy), held);
    return said;
  }

  #cutBy(policy: Chosen): Held {
    const held = this.#cut.get(keyOf(policy));
    return held?.generation === policy.generation
      ? held
      : { generation: policy.generation, total: 0, some: [] };
  }

  #forgetAllBut(policies: readonly Chosen[]): void {
    const keys = new Set(policies.map(keyOf));
    for (const key of this.#cut.keys()) if (!keys.has(key)) this.#cut.delete(key);
  }
}

function add(listed: PolicyStatus['established'], text: string): void {
  listed.total += 1;
  if (listed.some.length < MAX_LISTED) listed.some.push(text);
}

function textOf({ name }: Workload, { direction, remoteAddress, remotePort, protocol }: Connection): string {
  return `${name} ${direction === 'egress' ? 'to' : 'from'} ${remoteAddress} port ${remotePort}/${protocol}`;
}

function keyOf({ kind, name }: Chosen): string {
  return targetKey(kind, name);
}

function placeOf(connection: Connection): Place {
  const { direction, protocol, remoteAddress: address, remotePort, localPort } = connection;
  return { direction, protocol, address, port: direction === 'egress' ? remotePort : localPort };
}

function isOurs({ localPort, remoteAddress }: Connection, probePorts: { from: number; to: number }): boolean {
  const isLoopback = remoteAddress === '::1' || remoteAddress.startsWith('127.');
  return isLoopback || (localPort >= probePorts.from && localPort <= probePorts.to);
}
