import { HEALTH_STATES, type HealthState } from '../../../core/model/score.ts';
import type { Rollup } from '../../../core/model/view.ts';
import { count, counted, points } from '../format.ts';
import { StateShape } from '../state-mark.tsx';
import { STATE_WORDS } from '../state-words.ts';

const WORST_FIRST: readonly HealthState[] = ['red', 'orange', 'unknown', 'green'];

/** How many sites are in which state; each is a switch that shows only those. */
export function Totals({
  rollup,
  chosen,
  onToggle,
}: {
  rollup: Rollup;
  chosen: readonly HealthState[];
  onToggle: (state: HealthState) => void;
}) {
  return (
    <section class="totals" aria-label="Totals by state">
      {WORST_FIRST.map((state) => (
        <button
          key={state}
          type="button"
          class={`total ${state}`}
          aria-pressed={chosen.includes(state)}
          onClick={() => onToggle(state)}
        >
          <span class="total-figure">{count(rollup.byState[state])}</span>
          <span class={`state ${state}`}>
            <StateShape state={state} />
            {STATE_WORDS[state]}
          </span>
        </button>
      ))}
      <dl class="facts">
        <div>
          <dt>Sites</dt>
          <dd>{count(rollup.members)}</dd>
        </div>
        <div>
          <dt>Score, median</dt>
          <dd>{rollup.score === null ? '–' : points(rollup.score.p50)}</dd>
        </div>
        <div>
          <dt>Score, lowest</dt>
          <dd>{rollup.score === null ? '–' : points(rollup.score.min)}</dd>
        </div>
        <div>
          <dt>Links up</dt>
          <dd>
            {count(rollup.linksUp)} of {count(rollup.linksTotal)}
          </dd>
        </div>
      </dl>
    </section>
  );
}

/** A rollup as one short bar of shares, for where there is no room for more. The words carry it for who can't see it. */
export function Shares({ rollup }: { rollup: Rollup }) {
  let x = 0;
  const parts = HEALTH_STATES.map((state) => {
    const width = rollup.members === 0 ? 0 : (rollup.byState[state] / rollup.members) * 100;
    const part = { state, x, width };
    x += width;
    return part;
  });
  const words = WORST_FIRST.filter((state) => rollup.byState[state] > 0)
    .map((state) => `${count(rollup.byState[state])} ${STATE_WORDS[state].toLowerCase()}`)
    .join(', ');
  return (
    <>
      <svg class="shares" viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true">
        <rect class="track" width="100" height="6" />
        {parts.map((part) => (
          <rect key={part.state} class={part.state} x={part.x} width={part.width} height="6" />
        ))}
      </svg>
      <span class="unseen">{words === '' ? counted(0, 'site') : words}</span>
    </>
  );
}
