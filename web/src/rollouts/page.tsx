import type { RolloutView } from '../../../core/model/policy-view.ts';
import { isOver, ROLLOUT_SIGNS, whyOf } from '../../../core/rollout-words.ts';
import { Command } from '../command.tsx';
import type { FeedState } from '../live/feed.ts';
import { useNowMs } from '../live/use-feed.ts';
import { Age } from '../moment.tsx';
import { follow, goBack, rolloutPath } from '../route.ts';
import { useShortcuts } from '../shortcuts.tsx';
import { SignMark } from './sign.tsx';

/** Every rollout, those on their way first. */
export function RolloutsPage({ state }: { state: FeedState }) {
  const { fleet, phase, hubOffsetMs } = state;
  const nowMs = useNowMs() + hubOffsetMs;
  useShortcuts({ back: goBack });
  const rollouts = fleet?.rollouts ?? [];
  return (
    <main id="content" tabIndex={-1} class="rollouts-page">
      <h1>Rollouts</h1>
      {fleet === null ? (
        <p class="empty" role="status">
          {phase === 'connecting' ? 'Connecting to the hub …' : 'Nothing to show until the hub answers.'}
        </p>
      ) : rollouts.length === 0 ? (
        <div class="empty" role="status">
          <p>No policy was rolled out yet. Applying an allowlist begins one:</p>
          <p>
            <Command text="plumbline apply -f examples/payments.yaml" />
          </p>
        </div>
      ) : (
        <ul class="rollouts">
          {rollouts.map((rollout) => (
            <li key={`${rollout.kind} ${rollout.name}`} class={isOver(rollout) ? 'over' : ''}>
              <RolloutRow rollout={rollout} nowMs={nowMs} stale={phase !== 'live'} />
            </li>
          ))}
        </ul>
      )}
    </main>
  );
}

function RolloutRow({ rollout, nowMs, stale }: { rollout: RolloutView; nowMs: number; stale: boolean }) {
  const { name, generation, stage, stages, phase, updatedAtMs } = rollout;
  const at = stages[stage];
  return (
    <>
      <a class="rollout-link" href={rolloutPath(name)} onClick={follow}>
        {name}
      </a>
      <span class="muted figure">generation {generation}</span>
      <SignMark sign={ROLLOUT_SIGNS[phase]} stale={stale} />
      <span>
        stage {stage + 1} of {stages.length}
        {at !== undefined && `, ${at.virtualSite}`}
      </span>
      <span class="rollout-reason">{whyOf(rollout)[0]}</span>
      <span class="muted figure">
        <Age ms={updatedAtMs} nowMs={nowMs} /> ago
      </span>
    </>
  );
}
