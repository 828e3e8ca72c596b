import type { PolicyReport, PolicyStatus } from '../../core/model/policy-report.ts';

/** A policy in force at a site with one workload, and some traffic. */
export function policyStatus(part: Partial<PolicyStatus> = {}): PolicyStatus {
  return {
    kind: 'Allowlist',
    name: 'payments',
    seen: { epoch: 1, n: 7 },
    generation: 42,
    digest: 'd'.repeat(43),
    mode: 'enforce',
    phase: 'applied',
    live: true,
    deliveredAtMs: 1_760_000_000_500,
    appliedAtMs: 1_760_000_001_000,
    confirmedAtMs: 1_760_000_001_500,
    firstHitAtMs: 1_760_000_002_000,
    counterEpoch: 0,
    workloads: 1,
    rules: [{ rule: 'payments-api', hits: 3, probeHits: 1 }],
    denies: 0,
    probeDenies: 0,
    unexpectedDenies: 0,
    denied: [],
    fullSets: 0,
    probes: [],
    established: { total: 0, some: [] },
    ...part,
  };
}

export function policyReport(part: Partial<PolicyReport> = {}): PolicyReport {
  return {
    enforcement: 'on',
    labelsSeen: { epoch: 1, n: 1 },
    dataplane: 'simulated',
    workloads: [{ name: 'checkout', binding: 'user', labels: { app: 'checkout' } }],
    policies: [policyStatus()],
    flows: [],
    flowsLeftOut: 0,
    refusals: [],
    ...part,
  };
}
