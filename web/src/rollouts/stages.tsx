import type { RolloutView } from '../../../core/model/policy-view.ts';
import { STAGE_SIGNS, VERDICT_SIGNS } from '../../../core/rollout-words.ts';
import { count, counted } from '../format.ts';
import { SignMark } from './sign.tsx';

type Stage = RolloutView['stages'][number];

/** The stages as a row, from the first to the last; `chosen` is the one whose sites are shown. */
export function Stages({
  rollout,
  chosen,
  onChoose,
}: {
  rollout: RolloutView;
  chosen: number;
  onChoose: (stage: number) => void;
}) {
  return (
    <ol class="stages" aria-label="Stages">
      {rollout.stages.map((stage, index) => (
        <li key={`${index} ${stage.virtualSite}`} class={index === rollout.stage ? 'present' : ''}>
          <button
            type="button"
            class="stage"
            aria-pressed={index === chosen}
            aria-current={index === rollout.stage ? 'step' : undefined}
            onClick={() => onChoose(index)}
          >
            <span class="stage-name">
              <span class="muted">{index + 1}</span> {stage.virtualSite}
              {stage.mode === 'audit' && <span class="badge">audit</span>}
            </span>
            <SignMark sign={STAGE_SIGNS[stage.phase]} />
            <StageFigures stage={stage} />
          </button>
        </li>
      ))}
    </ol>
  );
}

function StageFigures({ stage }: { stage: Stage }) {
  const { counts, evaluatedAtMs, hits, unexpectedDenies, verdict } = stage;
  if (evaluatedAtMs === null)
    return (
      <span class="stage-figures muted">
        {counts.sites === 0 ? 'not begun' : counted(counts.sites, 'site')}
      </span>
    );
  return (
    <span class="stage-figures">
      {!isSaid(stage) && <SignMark sign={VERDICT_SIGNS[verdict]} />}
      <span class="muted">
        {count(counts.passed)} of {counted(counts.sites, 'site')} passed, {counted(hits, 'hit')}
        {unexpectedDenies > 0 && (
          <span class="short">, {counted(unexpectedDenies, 'unexpected deny', 'unexpected denies')}</span>
        )}
      </span>
    </span>
  );
}

/** That it has passed or failed says its verdict already. */
function isSaid({ phase, verdict }: Stage): boolean {
  return (phase === 'passed' && verdict === 'pass') || (phase === 'failed' && verdict === 'fail');
}
