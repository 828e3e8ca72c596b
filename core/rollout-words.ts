import type { RolloutSite, RolloutView } from './model/policy-view.ts';
import type { RolloutAct, RolloutAction, RolloutPhase, StageStatus, Verdict } from './model/rollout.ts';

/** Told by colour, shape and word at once, so that none of them is needed. */
export type Sign = { tone: 'good' | 'doubtful' | 'bad' | 'moving' | 'quiet'; shape: string; word: string };

export const VERDICT_SIGNS: Readonly<Record<Verdict | 'unjudged', Sign>> = {
  pass: { tone: 'good', shape: '●', word: 'pass' },
  fail: { tone: 'bad', shape: '■', word: 'fail' },
  inconclusive: { tone: 'doubtful', shape: '▲', word: 'inconclusive' },
  'not-applicable': { tone: 'quiet', shape: '◇', word: 'not applicable' },
  unjudged: { tone: 'quiet', shape: '○', word: 'not judged yet' },
};

export const ROLLOUT_SIGNS: Readonly<Record<RolloutPhase, Sign>> = {
  progressing: { tone: 'moving', shape: '▶', word: 'progressing' },
  'awaiting-promotion': { tone: 'good', shape: '◆', word: 'awaiting promotion' },
  paused: { tone: 'doubtful', shape: '▲', word: 'paused' },
  'rolled-back': { tone: 'bad', shape: '■', word: 'rolled back' },
  completed: { tone: 'good', shape: '●', word: 'completed' },
};

export const STAGE_SIGNS: Readonly<Record<StageStatus['phase'], Sign>> = {
  waiting: { tone: 'quiet', shape: '○', word: 'waiting' },
  rolling: { tone: 'moving', shape: '▶', word: 'rolling' },
  soaking: { tone: 'moving', shape: '◐', word: 'soaking' },
  passed: { tone: 'good', shape: '●', word: 'passed' },
  failed: { tone: 'bad', shape: '■', word: 'failed' },
  'rolled-back': { tone: 'bad', shape: '■', word: 'rolled back' },
  skipped: { tone: 'quiet', shape: '◇', word: 'skipped' },
};

type Standing = {
  phase: RolloutPhase;
  stage: number;
  stages: readonly (Pick<StageStatus, 'phase'> & { counts: Pick<StageStatus['counts'], 'failed'> })[];
};

/** What a person can have done with a rollout as it stands; control decides it anew. */
export function possibleActions({ phase, stage, stages }: Standing): RolloutAction[] {
  const at = stages[stage]?.phase;
  const hasFailed = at === 'failed';
  const isTried = at === 'rolling' || at === 'soaking';
  const failedThere = stages.some((one) => one.phase === 'passed' && one.counts.failed > 0);
  const again: RolloutAction[] = failedThere ? ['retry'] : [];
  switch (phase) {
    case 'progressing':
      return hasFailed ? ['rollback', 'retry'] : ['pause', 'retry', 'rollback'];
    case 'awaiting-promotion':
      return ['promote', ...again, 'pause', 'rollback'];
    case 'paused':
      if (hasFailed) return ['retry', 'rollback'];
      return ['resume', ...(isTried ? (['retry'] as const) : again), 'rollback'];
    case 'rolled-back':
      return ['retry'];
    case 'completed':
      return again;
  }
}

/** Where a rollout has come to and does not go on from by itself nor by a person's word. */
export function isOver({ phase }: { phase: RolloutPhase }): boolean {
  return phase === 'completed' || phase === 'rolled-back';
}

/** As "kim (approver)"; the first token, "admin", says its role already. */
export function whoText({ by, role }: Pick<RolloutAct, 'by' | 'role'>): string {
  if (by === '') return 'the hub';
  return role === null || role === by ? by : `${by} (${role})`;
}

/** What was done, without who, when and why: "promoted it to stage 2, prod (enforce), and so approved it there". */
export function actText({ act, generation, stage, virtualSite, mode, isApproval }: RolloutAct): string {
  const at = `stage ${stage + 1}, ${virtualSite} (${mode})`;
  const words: Readonly<Record<RolloutAct['act'], string>> = {
    apply: `applied generation ${generation}`,
    promote: `promoted it to ${at}`,
    retry: `tried ${at} again`,
    pause: `paused it at ${at}`,
    resume: `resumed it at ${at}`,
    rollback: `rolled back ${at}`,
  };
  return `${words[act]}${isApproval ? ', and so approved it there' : ''}`;
}

/** Why it stands where it stands, each thing once: what it is paused or rolled back for, and what its stage shows. */
export function whyOf({ reason, stage, stages }: Pick<RolloutView, 'reason' | 'stage' | 'stages'>): string[] {
  const shown = stages[stage]?.reasons ?? [];
  return reason === '' ? shown : [reason, ...shown.filter((one) => !reason.includes(one))];
}

/** Why a site stands where it stands: its verdict's reasons, and what it says itself where they don't say that already. */
export function siteWhy({
  reasons,
  detail,
  phase,
}: Pick<RolloutSite, 'reasons' | 'detail' | 'phase'>): string {
  const texts = reasons.map(({ text }) => text);
  const isSaid = texts.some((text) => phase === 'not-applicable' || text.includes(detail));
  return (detail === '' || isSaid ? texts : [...texts, detail]).join('; ');
}
