import type { Phase, PolicyReport, PolicyStatus } from '../../core/model/policy-report.ts';
import { MAX_REPORT_BYTES } from '../../core/model/report.ts';
import { specKey } from '../../core/model/signed.ts';
import type { Observed, Workload } from '../../core/ports/enforcer.ts';
import type { Evidence, ObservedPolicy } from './evidence.ts';
import type { FlowReport } from './flows.ts';
import { isSameInForce, type Outcome } from './plan.ts';
import type { Probing } from './probing.ts';
import type { AgentState, Chosen } from './state.ts';

const MAX_DENIED = 16;
/** Leaves room for the rest of a report. */
const MAX_BYTES = MAX_REPORT_BYTES - 20 * 1024;
/** Rules and results of probes a policy, when not all of them have room. */
const FEWER = [128, 32, 8, 0] as const;

export type PartWorld = {
  enforcement: PolicyReport['enforcement'];
  dataplane: PolicyReport['dataplane'];
  workloads: readonly Workload[];
  state: AgentState;
  outcomes: readonly Outcome[];
  /** In force in the dataplane; null when nothing of ours is. */
  present: readonly Chosen[] | null;
  blocked: string | null;
  /** Why what the owner let go of may still be in force; null when it is not. */
  clinging: string | null;
  observed: Observed | null;
  drift: readonly string[];
  established: ReadonlyMap<string, PolicyStatus['established']>;
  evidence: Evidence;
  probing: Probing;
  flows: FlowReport;
};

/** The policy part of a report: what the site says of itself, and nothing else proves. */
export function policyPart(world: PartWorld): PolicyReport {
  const { keys } = world.state;
  const statuses = world.outcomes.flatMap((outcome) => {
    const standing = standingOf(outcome, world);
    return standing === null ? [] : [statusOf(outcome, standing, world)];
  });
  const isOver = ({ phase }: PolicyStatus) => Number(phase === 'withdrawn' || phase === 'not-applicable');
  return {
    enforcement: world.enforcement,
    labelsSeen: world.state.site?.version ?? null,
    keyring: keys === null ? null : { version: keys.version, ids: keys.keys.map(({ id }) => id) },
    dataplane: world.dataplane,
    workloads: world.workloads.slice(0, 64).map(({ name, labels, binding }) => ({
      name,
      labels,
      binding: binding.kind,
      boundTo: binding.kind === 'user' ? String(binding.uid) : binding.name,
    })),
    policies: [...statuses.sort((a, b) => isOver(a) - isOver(b)), ...withoutRoom(world.state)],
    flows: world.flows.flows,
    flowsLeftOut: world.flows.leftOut,
    refusals: world.state.refusals,
  };
}

/** Makes it fit by leaving out what proves least. What would prove something and has no room is counted: it can't pass then. */
export function fitted(part: PolicyReport): PolicyReport {
  const withoutFlows = (most: number): PolicyReport => ({
    ...part,
    flows: part.flows.slice(0, most),
    flowsLeftOut: part.flowsLeftOut + Math.max(0, part.flows.length - most),
  });
  const few = withoutFlows(8);
  const terse = {
    ...few,
    policies: few.policies.map((policy) => ({
      ...policy,
      denied: policy.denied.slice(0, 4),
      established: { ...policy.established, some: policy.established.some.slice(0, 2) },
    })),
  };
  // A rule that is not listed was not hit.
  const hitOnly = {
    ...terse,
    policies: terse.policies.map((policy) => ({
      ...policy,
      rules: policy.rules.filter(({ hits, probeHits }) => hits + probeHits > 0),
    })),
  };
  const cut = (most: number) => ({ ...hitOnly, policies: hitOnly.policies.map((one) => cutTo(one, most)) });
  const attempts = [part, withoutFlows(24), few, terse, hitOnly, ...FEWER.map(cut)];
  return attempts.find((attempt) => Buffer.byteLength(JSON.stringify(attempt)) <= MAX_BYTES) ?? cut(0);
}

function cutTo(policy: PolicyStatus, most: number): PolicyStatus {
  const rulesLeftOut = Math.max(0, policy.rules.length - most);
  const probesLeftOut = Math.max(0, policy.probes.length - most);
  return {
    ...policy,
    rules: policy.rules.slice(0, most),
    probes: policy.probes.slice(0, most),
    ...(rulesLeftOut > 0 && { rulesLeftOut }),
    ...(probesLeftOut > 0 && { probesLeftOut }),
  };
}

/** Policies whose target the site could not take, for it has as many as it takes already. */
function withoutRoom({ refusals, targets }: AgentState): PolicyStatus[] {
  const refused = new Map(refusals.filter(({ code }) => code === 'too-many').map((one) => [one.key, one]));
  return [...refused].flatMap(([key, { code, detail }]) => {
    const [, kind, name, ...more] = key.split('/');
    const isHeld = targets.some((target) => target.key === key);
    if (kind !== 'Allowlist' || name === undefined || more.length > 0 || isHeld) return [];
    return [{ ...NOTHING_OF_IT, kind, name, reason: `${code}: ${detail}`.slice(0, 200) }];
  });
}

const NOTHING_OF_IT = {
  seen: { epoch: 1, n: 0 },
  generation: 0,
  digest: '',
  mode: 'enforce',
  phase: 'pending',
  live: false,
  deliveredAtMs: null,
  appliedAtMs: null,
  confirmedAtMs: null,
  firstHitAtMs: null,
  counterEpoch: 0,
  workloads: 0,
  rules: [],
  denies: 0,
  probeDenies: 0,
  unexpectedDenies: 0,
  denied: [],
  fullSets: 0,
  probes: [],
  established: { total: 0, some: [] },
} satisfies Omit<PolicyStatus, 'kind' | 'name' | 'reason'>;

type Standing = { policy: Chosen | null; phase: Phase; reason?: string };

/** Null for a policy that is none of this site's business. */
function standingOf({ target, desired, state, reason }: Outcome, world: PartWorld): Standing | null {
  const { kind, name } = target.body;
  const isIt = (one: Chosen) => one.kind === kind && one.name === name;
  const good = world.state.good.policies.find(isIt) ?? null;
  const assigned = desired?.assigned ?? null;
  const policy = assigned === null ? good : { kind, name, ...assigned };
  const said = (phase: Phase, why = reason): Standing => ({
    policy,
    phase,
    ...(why !== undefined && why !== '' && { reason: why }),
  });
  if (world.clinging !== null)
    return good === null ? null : { ...said('pending', world.clinging), policy: good };
  if (world.enforcement !== 'on')
    return policy === null ? null : said(world.enforcement === 'off' ? 'off' : 'disarmed');
  if (target.orphaned) return good === null ? null : { ...said('orphaned'), policy: good };
  if (state === 'nothing') {
    if (good !== null) return said('applying', world.blocked ?? 'being withdrawn');
    const gone = world.state.withdrawn.find(({ key }) => key === target.key);
    if (gone === undefined) return null;
    return {
      policy: null,
      phase: 'withdrawn',
      reason: `generation ${gone.generation} was in force until then`,
    };
  }
  if (state === 'pending' && assigned !== null) {
    const key = specKey(kind, name, assigned.generation);
    const refused = world.state.refusals.findLast((one) => one.key === key && one.code === 'too-many');
    return said(state, refused === undefined ? reason : `${refused.code}: ${refused.detail}`);
  }
  if (state !== 'wanted') return said(state);
  if (good !== null && policy !== null && isSameInForce(good, policy))
    return world.present?.some((one) => isSameInForce(one, policy)) === true || world.blocked === null
      ? said('applied')
      : said('pending', world.blocked);
  if (world.state.hubAway) return said('hub-away', 'taken back because the hub could not be reached');
  return said('applying', world.blocked ?? undefined);
}

function statusOf(outcome: Outcome, { policy, phase, reason }: Standing, world: PartWorld): PolicyStatus {
  const { body, deliveredAtMs, key } = outcome.target;
  const { kind, name, version: seen } = body;
  const standing = policy === null ? null : world.evidence.of(policy);
  const isPresent = policy !== null && world.present?.some((one) => isSameInForce(one, policy)) === true;
  const figures = isPresent ? observedOf(policy, world.observed) : null;
  const denied = isPresent ? (standing?.denied ?? []) : [];
  const unexpected = denied.filter((place) => place.kind === 'unexpected');
  const firstSurprises = denied.toSorted(
    (a, b) => Number(b.kind === 'unexpected') - Number(a.kind === 'unexpected') || b.count - a.count,
  );
  return {
    kind,
    name,
    seen,
    generation: policy?.generation ?? 0,
    digest: policy?.digest ?? '',
    mode: policy?.mode ?? 'enforce',
    phase,
    ...(reason !== undefined && { reason: reason.slice(0, 200) }),
    live: figures !== null && world.drift.length === 0,
    ...(isPresent && world.drift.length > 0 && { drift: [...world.drift] }),
    deliveredAtMs,
    appliedAtMs: isPresent ? (standing?.appliedAtMs ?? null) : null,
    confirmedAtMs: isPresent ? (standing?.confirmedAtMs ?? null) : null,
    firstHitAtMs: isPresent ? (standing?.firstHitAtMs ?? null) : null,
    counterEpoch: standing?.counterEpoch ?? 0,
    workloads: outcome.workloads,
    rules: figures?.rules.slice(0, 400) ?? [],
    denies: figures?.denies ?? 0,
    probeDenies: figures?.probeDenies ?? 0,
    unexpectedDenies: unexpected.reduce((sum, { count }) => sum + count, 0),
    denied: firstSurprises.slice(0, MAX_DENIED).map(({ raw: _raw, ...place }) => place),
    fullSets: isPresent ? (world.observed?.fullSets.length ?? 0) : 0,
    probes: isPresent && policy !== null ? world.probing.resultsOf(policy) : [],
    established: (isPresent ? world.established.get(key) : undefined) ?? { total: 0, some: [] },
  };
}

function observedOf(policy: Chosen, observed: Observed | null): ObservedPolicy | null {
  return (
    observed?.policies.find(
      ({ kind, name, generation }) =>
        kind === policy.kind && name === policy.name && generation === policy.generation,
    ) ?? null
  );
}
