import type { AllowlistSpec, ProbeRequest } from '../../core/model/allowlist.ts';
import { parsePeer } from '../../core/policy/destination.ts';
import { canonicalJson } from '../../core/policy/digest.ts';
import type { StageQuestion } from '../../core/policy/evidence.ts';
import { assignedOf, type RolloutSpec, stageOf } from './assigned.ts';

type Asked = {
  sites: string[];
  /** Names of rules that are not in what the virtual site ran before the rollout. */
  newRules: string[];
  minSoakMs: number;
  controlDrop: number | null;
  decidedAtMs: number;
};

/** What is asked of the evidence about the stage; null before its target was decided on. */
export function stageQuestion(spec: RolloutSpec, asked: Asked): StageQuestion | null {
  const { status, plan } = stageOf(spec);
  const { version, startedAtMs } = status;
  if (version === null || startedAtMs === null) return null;
  const { generation, digest, mode } = assignedOf(spec);
  const { minSoakMs, ...rest } = asked;
  return {
    kind: spec.policy.kind,
    name: spec.policy.name,
    generation,
    digest,
    stage: spec.stage,
    mode,
    version,
    startedAtMs,
    ...rest,
    probes: plan.probes.map(({ name }) => name),
    probesOverUdp: plan.probes.filter(({ to }) => isOverUdp(to)).map(({ name }) => name),
    soakMs: Math.max(plan.soakMs, minSoakMs),
    minHits: plan.minHits,
    minHitsTotal: plan.minHitsTotal,
    maxUnexpectedDenies: plan.maxUnexpectedDenies,
    maxScoreDrop: plan.maxScoreDrop,
    minConclusive: plan.minConclusive,
    maxFailures: plan.maxFailures,
  };
}

function isOverUdp(to: ProbeRequest['to']): boolean {
  const parsed = parsePeer(to);
  return parsed.ok && parsed.destination.ports[0]?.protocol === 'UDP';
}

/**
 * Rules by whose name or content `before` has none; all of them where nothing ran before, or where it was for other
 * workloads: what those it did not hold need, nothing has shown yet.
 */
export function newRules(after: AllowlistSpec, before: AllowlistSpec | null): string[] {
  const isSame = before !== null && subjectsOf(before) === subjectsOf(after);
  const known = new Set(isSame ? rulesOf(before).map(({ text }) => text) : []);
  const names = rulesOf(after)
    .filter(({ text }) => !known.has(text))
    .map(({ name }) => name);
  return [...new Set(names)];
}

/** Whom the rules are for. */
function subjectsOf({ workloads, namespaces }: AllowlistSpec): string {
  return canonicalJson({ workloads, namespaces });
}

function rulesOf({ egress = [], ingress = [] }: AllowlistSpec): { name: string; text: string }[] {
  return [
    ...egress.map((rule) => ({ name: rule.name, text: `egress ${canonicalJson(rule)}` })),
    ...ingress.map((rule) => ({ name: rule.name, text: `ingress ${canonicalJson(rule)}` })),
  ];
}
