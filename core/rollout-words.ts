import type { RolloutAction } from './model/resource.ts';
import type { RolloutPhase, StageStatus, Verdict } from './model/rollout.ts';

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

type Standing = { phase: RolloutPhase; stage: number; stages: readonly { phase: StageStatus['phase'] }[] };

/** What a person can have done with a rollout as it stands; control decides it anew. */
export function possibleActions({ phase, stage, stages }: Standing): RolloutAction[] {
  const at = stages[stage]?.phase;
  const hasFailed = at === 'failed';
  const isTried = at === 'rolling' || at === 'soaking';
  switch (phase) {
    case 'progressing':
      return hasFailed ? ['rollback', 'retry'] : ['pause', 'retry', 'rollback'];
    case 'awaiting-promotion':
      return ['promote', 'pause', 'rollback'];
    case 'paused':
      if (hasFailed) return ['retry', 'rollback'];
      return isTried ? ['resume', 'retry', 'rollback'] : ['resume', 'rollback'];
    case 'rolled-back':
      return ['retry'];
    case 'completed':
      return [];
  }
}

/** Where a rollout has come to and does not go on from by itself nor by a person's word. */
export function isOver({ phase }: { phase: RolloutPhase }): boolean {
  return phase === 'completed' || phase === 'rolled-back';
}
