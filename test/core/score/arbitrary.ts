import fc from 'fast-check';
import type { Link, Report } from '../../../core/model/report.ts';
import type { SiteState } from '../../../core/model/site-state.ts';
import { nextState } from '../../../core/score/next-state.ts';
import { scoreReport } from '../../../core/score/score.ts';
import { policyReport, policyStatus } from '../../parts/policy-report.ts';
import { link, report } from '../../parts/report.ts';

const ratio = fc.double({ min: 0, max: 1, noNaN: true });
const count = fc.oneof(fc.nat(5), fc.nat(1000), fc.constant(Number.MAX_SAFE_INTEGER));

const latency = fc.record({
  p50Ms: fc.double({ min: 0, max: 5000, noNaN: true }),
  p90Ms: fc.double({ min: 0, max: 5000, noNaN: true }),
  p99Ms: fc.double({ min: 0, max: 5000, noNaN: true }),
});

/** Figures that contradict one another are among them: the schema lets a site say so. */
const links: fc.Arbitrary<Link[]> = fc
  .array(
    fc.record({
      up: fc.boolean(),
      protocol: fc.constantFrom('tcp', 'http', 'hub'),
      window: fc.record({ requests: count, losses: count, errors: count }),
      latency,
      budgetMs: fc.option(fc.double({ min: 0.1, max: 500, noNaN: true }), { nil: undefined }),
      baselineMs: fc.option(fc.double({ min: 0, max: 500, noNaN: true }), { nil: undefined }),
    }),
    { maxLength: 64 },
  )
  .map((parts) =>
    parts.map(({ budgetMs, baselineMs, ...part }, i) => {
      const { baselineMs: _, ...plain } = link({ ...part, name: `link-${i}` });
      return {
        ...plain,
        ...(budgetMs !== undefined && { budgetMs }),
        ...(baselineMs !== undefined && { baselineMs }),
      };
    }),
  );

const host = fc
  .record({ cpu: ratio, memory: ratio, swap: ratio, disks: fc.array(ratio, { maxLength: 16 }), psi: ratio })
  .map(({ cpu, memory, swap, disks, psi }): NonNullable<Report['host']> => {
    const { host: usual } = report();
    if (usual === undefined) throw new Error('the sample report has a host');
    return {
      ...usual,
      cpu: { ...usual.cpu, utilization: cpu },
      memory: { ...usual.memory, utilization: memory },
      swap: { totalBytes: 1e9, usedBytes: 1e9 * swap, utilization: swap },
      disks: disks.map((utilization, i) => ({
        mount: `/${i}`,
        totalBytes: 1e9,
        availableBytes: 1e8,
        utilization,
      })),
      pressure: { cpuSome: psi, memorySome: psi, memoryFull: psi, ioSome: psi, ioFull: psi },
    };
  });

const nodes = fc.record({ total: count, ready: count, underPressure: count });
const workloads = fc.record({
  total: count,
  down: count,
  crashLooping: count,
  waitingForImage: count,
  outOfMemory: count,
  unschedulable: count,
  inProgress: count,
  criticalDown: fc.array(fc.constantFrom('checkout', 'ledger'), { maxLength: 2 }),
});
const security = fc.record({
  drifted: count,
  rolloutInProgress: fc.boolean(),
  refusedGenerations: count,
  unexpectedDenies: count,
  credentialsExpireInDays: fc.double({ min: -10, max: 60, noNaN: true }),
  findings: count,
});

const policy: fc.Arbitrary<NonNullable<Report['policy']>> = fc
  .record({
    enforcement: fc.constantFrom('off', 'on', 'disarmed'),
    policies: fc.array(
      fc.record({
        phase: fc.constantFrom('applied', 'applying', 'refused', 'orphaned'),
        mode: fc.constantFrom('audit', 'enforce'),
        live: fc.boolean(),
        unexpectedDenies: count,
      }),
      { maxLength: 16 },
    ),
  })
  .map(({ enforcement, policies }) =>
    policyReport({
      enforcement,
      policies: policies.map((part, i) => policyStatus({ ...part, name: `p-${i}` })),
    }),
  );

/** Any report that the schema lets through, each part there or not. */
export const reports: fc.Arbitrary<Report> = fc
  .record(
    {
      links,
      host,
      nodes,
      workloads,
      security,
      policy,
      missed: fc.nat(30),
      probes: fc.array(fc.record({ name: fc.constant('host'), ok: fc.boolean(), lost: fc.nat(3) }), {
        maxLength: 3,
      }),
    },
    { requiredKeys: ['missed', 'probes'] },
  )
  .map((parts) => {
    const { host: _, links: __, ...bare } = report();
    return { ...bare, ...parts };
  });

export function stateOf(said: Report, previous: SiteState | null = null): SiteState {
  const receipt = { receivedAtMs: said.ts + 50, payloadHash: 'x'.repeat(16) };
  return nextState(previous, said, receipt, scoreReport(said));
}
