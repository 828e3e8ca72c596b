import type { Allowlist } from '../../core/model/rollout.ts';
import type { Version } from '../../core/model/signed.ts';
import { EVERYBODY } from '../../core/policy/desired-state.ts';
import { whoText } from '../../core/rollout-words.ts';
import { type Asker, withAct } from './acts.ts';
import {
  emptyStages,
  NONE_COUNTED,
  nextVersion,
  promotedTo,
  type RolloutSpec,
  stageOf,
  versioned,
  withStage,
} from './assigned.ts';
import { nameOf, type Told } from './told.ts';

export type Beginning = {
  name: string;
  allowlist: Allowlist['spec'];
  /** The rollout that there was; null for a new policy, and where it was lost. */
  before: RolloutSpec | null;
  /** What virtual sites were promoted to, which goes on being in force. */
  promoted: RolloutSpec['promoted'];
  /** The newest version that any target of the policy had. */
  version: Version;
  authors: string[];
  asker: Asker;
  /** Whether somebody has to approve even the first stage. */
  awaitsApproval: boolean;
  nowMs: number;
};

/** A generation sets out: its first stage begins, unless that has to be approved. */
export function begin(given: Beginning): { spec: RolloutSpec; told: Told[] } {
  const { name, allowlist, before, promoted, authors, asker, nowMs } = given;
  const { generation, digest, rollout: strategy } = allowlist;
  // Content that failed sets out because somebody asked for it to be tried again: also by sites that refused it.
  const isRetry = before?.failedDigests.includes(digest) === true;
  // No other content has what sites refused tried again; a policy of the name of one that was deleted begins above it.
  const latest = isRetry ? undefined : before?.stages.at(-1)?.attempt;
  const attempt = latest ?? nextVersion(given.version);
  const fresh: RolloutSpec = {
    policy: { kind: 'Allowlist', name },
    generation,
    digest,
    strategy,
    phase: 'awaiting-promotion',
    reason: '',
    startedAtMs: nowMs,
    stage: 0,
    stages: emptyStages(strategy, attempt),
    promoted,
    base: promoted.map(({ virtualSite, assigned }) => ({ virtualSite, generation: assigned.generation })),
    threshold: 0,
    authors,
    version: given.version,
    failedDigests: (before?.failedDigests ?? []).filter((one) => one !== digest),
    events: [],
    acts: before?.acts ?? [],
    actsLeftOut: before?.actsLeftOut ?? 0,
  };
  const told: Told[] = [];
  if (before !== null && isUnfinished(before))
    told.push({
      kind: 'rollout.superseded',
      virtualSite: stageOf(before).status.virtualSite,
      message: `${nameOf(before)} is superseded by generation ${generation}`,
    });
  told.push({
    kind: 'rollout.started',
    virtualSite: '',
    message: `${nameOf(fresh)} starts: ${strategy.stages.map(({ virtualSite, mode = 'enforce' }) => `${virtualSite} (${mode})`).join(', ')}`,
  });
  if (isRetry)
    told.push({
      kind: 'rollout.retried',
      virtualSite: '',
      message: `${nameOf(fresh)}, whose content failed before, is tried again by ${whoText(asker)}`,
    });
  const why = isRetry ? 'its content failed before, and is tried again' : '';
  const skipped = withAct(skipAudits(fresh), { act: 'apply', atMs: nowMs, ...asker, why });
  const started = given.awaitsApproval ? { spec: skipped, told: [] } : startStage(skipped, nowMs);
  // What ran before may differ from what runs now in the virtual sites of the strategy alone, or not at all.
  const from = before === null ? fresh : { ...before, version: given.version };
  return { spec: versioned(from, started.spec), told: [...told, ...started.told] };
}

function isUnfinished({ phase }: RolloutSpec): boolean {
  return phase === 'progressing' || phase === 'awaiting-promotion' || phase === 'paused';
}

/** The stage that the rollout is at begins. With nothing to wait for, all of its sites get it at once. */
export function startStage(spec: RolloutSpec, nowMs: number): { spec: RolloutSpec; told: Told[] } {
  const { status, plan } = stageOf(spec);
  const { maxConcurrency } = plan;
  const isAllAtOnce = 'share' in maxConcurrency && maxConcurrency.share >= 1;
  const begun = withStage(
    { ...spec, phase: 'progressing', reason: '', threshold: isAllAtOnce ? EVERYBODY : 0 },
    {
      ...status,
      phase: 'rolling',
      startedAtMs: nowMs,
      endedAtMs: null,
      deadlineAtMs: nowMs + plan.progressDeadlineMs,
      version: null,
      verdict: 'inconclusive',
      reasons: [],
      counts: NONE_COUNTED,
      hits: 0,
      unexpectedDenies: 0,
      evaluatedAtMs: null,
    },
  );
  const told: Told = {
    kind: 'rollout.stage-started',
    virtualSite: status.virtualSite,
    message: `${nameOf(spec)}: stage ${spec.stage + 1} of ${spec.stages.length} begins at ${status.virtualSite} (${status.mode})`,
  };
  return { spec: begun, told: [told] };
}

/**
 * Auditing what a virtual site enforces an earlier generation of would stop enforcing it, which opens what is closed: such
 * a stage is skipped when a later one enforces there.
 */
export function skipAudits(spec: RolloutSpec): RolloutSpec {
  const { status } = stageOf(spec);
  const later = spec.stages.slice(spec.stage + 1);
  const isEnforced = promotedTo(spec, status.virtualSite)?.mode === 'enforce';
  const enforcesLater = later.some(
    ({ virtualSite, mode }) => virtualSite === status.virtualSite && mode === 'enforce',
  );
  if (status.mode !== 'audit' || !isEnforced || !enforcesLater) return spec;
  const reason = `${status.virtualSite} enforces an earlier generation, which auditing this one would open`;
  const skipped = withStage(spec, { ...status, phase: 'skipped', reasons: [reason] });
  return skipAudits({ ...skipped, stage: spec.stage + 1 });
}
