import type { WorkloadProber } from '../../core/ports/workload-prober.ts';
import type { ModelledDataplane } from './modelled.ts';

/** Probes through the modelled dataplane. Every target answers whoever gets through. */
export function createProber(dataplane: Pick<ModelledDataplane, 'attempt'>): WorkloadProber {
  return {
    async probe({ name }, target) {
      const verdict = dataplane.attempt({
        ...target,
        workload: name,
        direction: 'egress',
        count: 1,
        isProbe: true,
      });
      return { outcome: verdict === 'allowed' ? 'connected' : 'refused', control: 'connected' };
    },
    async stop() {},
  };
}
