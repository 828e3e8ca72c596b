import type { Enforcer } from '../../core/ports/enforcer.ts';

/** New connections of a workload, as many as `count`, to or from one place. */
export type Attempt = {
  workload: string;
  direction: 'egress' | 'ingress';
  address: string;
  port: number;
  protocol: 'TCP' | 'UDP';
  count: number;
  /** From the source ports of the site's own probes. */
  isProbe: boolean;
};

/** A dataplane that is not there, through which modelled traffic goes. */
export type ModelledDataplane = Enforcer & { attempt(attempt: Attempt): 'allowed' | 'denied' };
