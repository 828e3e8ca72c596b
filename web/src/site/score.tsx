import type { ScoreExplanation } from '../../../core/model/view.ts';
import { points } from '../format.ts';
import { Age } from '../moment.tsx';
import { Panel } from './panel.tsx';

/** How the score came about: each component from 100 down, penalty by penalty, then the sum. */
export function ScoreArithmetic({ explanation, nowMs }: { explanation: ScoreExplanation; nowMs: number }) {
  const { components, arithmetic, caps, score, shown } = explanation;
  return (
    <Panel title="Score" shape="wide">
      {components.length === 0 ? (
        <p class="muted">Nothing was observed that could be scored.</p>
      ) : (
        <>
          <ul class="components">
            {components.map((component) => (
              <li key={component.component}>
                <Component component={component} nowMs={nowMs} />
              </li>
            ))}
          </ul>
          <p class="arithmetic">{arithmetic}</p>
        </>
      )}
      {caps.length > 0 && (
        <p class="arithmetic">
          Capped{score !== null && shown !== null && score !== shown && ` from ${score} to ${shown}`}:{' '}
          {caps.join('; ')}
        </p>
      )}
    </Panel>
  );
}

function Component({
  component,
  nowMs,
}: {
  component: ScoreExplanation['components'][number];
  nowMs: number;
}) {
  const { component: name, score, weight, penalties } = component;
  return (
    <>
      <div class="component-head">
        <h3>{name}</h3>
        <span class="figure strong">{points(score)}</span>
        <span class="muted">weight {points(weight)}</span>
      </div>
      {penalties.length === 0 ? (
        <p class="muted no-penalty">100, no penalty</p>
      ) : (
        <ul class="penalties">
          {penalties.map((penalty) => (
            <li key={`${penalty.id} ${penalty.subject}`}>
              <span class="figure loss">−{points(penalty.points)}</span>
              <span class="penalty-words">
                <strong>{penalty.id}</strong>
                {penalty.subject !== '' && <> {penalty.subject}</>}
                <span class="penalty-observed">{penalty.observed}</span>
              </span>
              <span class="muted penalty-since">
                for <Age ms={penalty.sinceMs} nowMs={nowMs} />
              </span>
            </li>
          ))}
        </ul>
      )}
    </>
  );
}
