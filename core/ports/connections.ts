import type { Workload } from './enforcer.ts';

/** An established connection of this machine, seen from its workload; over UDP, a socket that has one peer only. */
export type Connection = {
  direction: 'egress' | 'ingress';
  protocol: 'TCP' | 'UDP';
  localAddress: string;
  localPort: number;
  remoteAddress: string;
  remotePort: number;
};

/*
 * Connections that there are now. A workload whose connections can't be seen (one bound to an interface) has none to list.
 * `cut` ends one, and says whether this machine could.
 */
export interface Connections {
  list(workload: Workload): Promise<Connection[]>;
  cut(connection: Connection): Promise<boolean>;
}
