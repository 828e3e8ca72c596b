import type { AllowlistSpec, Mode } from '../model/allowlist.ts';
import type { Labels } from '../model/site.ts';

/*
 * A dataplane that can be told which connections are let through, and asked what it did.
 *
 * - `apply` makes `wanted` the whole of what is in force, in one transaction: nobody ever sees half of it, and where it
 *   rejects what was in force still is. Counters of a generation that stays go on; those of a new one begin at zero; sets of
 *   names keep their addresses. Applying the same again changes nothing. It never approximates: what can't be expressed was
 *   refused by the pure compile before.
 * - `observe` reads back everything, compares field by field with what was applied last, and gives the counters. What others
 *   changed is named. It never changes anything.
 * - `learn` adds addresses of a name for `keepS` seconds; known ones are renewed. Until the first `apply` it does nothing.
 * - `hold` keeps aside, durably, what is in force, by whichever process, and rejects where that could not be put back;
 *   `putBack` makes it the whole of what is in force again, after which nothing was applied by this process, and is false
 *   where nothing is held. For a site that can't say any more what was in force.
 * - `withdraw` leaves nothing of Plumbline's behind. All of it is idempotent.
 * - An outside failure is an EnforcerError; its `detail` says what to do.
 */

/** A workload as the site's owner bound it. */
export type Workload = {
  name: string;
  labels: Labels;
  binding: { kind: 'user'; uid: number } | { kind: 'interface'; name: string };
};

/** One policy that is to run here. */
export type EnforcedPolicy = {
  kind: 'Allowlist';
  name: string;
  generation: number;
  digest: string;
  mode: Mode;
  spec: AllowlistSpec;
};

export type Wanted = {
  /** Counts what the site applied, ever rising. */
  revision: number;
  /** All that the owner bound: flows of every one are watched, those that a policy selects are held to it. */
  workloads: readonly Workload[];
  policies: readonly EnforcedPolicy[];
  /** Addresses known of the names in the policies. */
  names: ReadonlyMap<string, readonly string[]>;
  /** The collector's own traffic that no policy holds back: by its user, to these endpoints. */
  exempt: { uid: number; endpoints: readonly { address: string; port: number; protocol: 'TCP' | 'UDP' }[] };
  /** Source ports of the site's own probes, whose connections are counted apart. Both ends included. */
  probePorts: { from: number; to: number };
};

export type ObservedFlow = {
  workload: string;
  direction: 'egress' | 'ingress';
  address: string;
  port: number;
  protocol: 'TCP' | 'UDP';
  /** `denied` under audit means it would have been. */
  verdict: 'allowed' | 'denied';
  /** Of what was denied: `audit` when it was let through all the same (and is among the allowed ones too). */
  mode?: Mode;
  /** New connections since the set began; goes back to zero with `revision` for denied ones, and when it expires. */
  connections: number;
};

export type Observed = {
  /** What is in force is exactly what was applied last; otherwise what differs, in words. */
  differences: string[];
  policies: {
    kind: 'Allowlist';
    name: string;
    generation: number;
    rules: { rule: string; hits: number; probeHits: number }[];
    denies: number;
    probeDenies: number;
  }[];
  flows: ObservedFlow[];
  /** Names of bounded sets that are full. */
  fullSets: string[];
};

export class EnforcerError extends Error {
  readonly code: 'unsupported' | 'rejected' | 'busy' | 'not-permitted';
  readonly detail: string;
  constructor(code: 'unsupported' | 'rejected' | 'busy' | 'not-permitted', detail: string) {
    super(detail);
    this.name = 'EnforcerError';
    this.code = code;
    this.detail = detail;
  }
}

export interface Enforcer {
  readonly dataplane: 'nftables' | 'simulated';
  /** Rejects with `unsupported` or `not-permitted` where this machine can't do it. */
  start(): Promise<void>;
  apply(wanted: Wanted): Promise<void>;
  observe(): Promise<Observed>;
  learn(host: string, addresses: readonly string[], keepS: number): Promise<void>;
  hold(): Promise<void>;
  putBack(): Promise<boolean>;
  withdraw(): Promise<void>;
  stop(): Promise<void>;
}
