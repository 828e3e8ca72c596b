import type { DemoHub } from './hub.ts';
import type { Teller } from './teller.ts';

export const GROUPS = ['test', 'prod'] as const;
export type Group = (typeof GROUPS)[number];
export type Target = { host: string; port: number };

export const API: Target = { host: 'api.payments.example', port: 80 };
export const LEDGER: Target = { host: 'ledger.example', port: 8443 };
/** Nobody has business there. */
export const CANARY: Target = { host: 'canary.example', port: 80 };

/** Where the story plays: a hub, two sites a group, and at each a workload `checkout` with traffic of its own. */
export type Scene = {
  readonly hub: DemoHub;
  readonly sites: Readonly<Record<Group, readonly string[]>>;
  /** A rule that the workload needs here for its name server; null where there is none. */
  readonly resolverRule: string | null;
  /** Has the sites join, and says how. */
  populate(teller: Teller): Promise<void>;
  /** Where the workload of a group connects to from now on. */
  connect(group: Group, targets: readonly Target[]): void;
  /** Resolves once the workloads of a group get through to a target. */
  arrives(group: Group, target: Target): Promise<void>;
  /** Waits until `prod` gets through to a target again; says how long it did not, and how that is known. */
  outage(target: Target): Promise<string>;
  /** How a person reaches the hub while it goes on. */
  reach(): readonly string[];
  /** Ends everything and leaves nothing. Idempotent. */
  stop(): Promise<void>;
};
