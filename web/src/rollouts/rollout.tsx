import { useEffect, useState } from 'preact/hooks';
import type { RolloutDetail, RolloutView } from '../../../core/model/policy-view.ts';
import type { Role } from '../../../core/model/role.ts';
import { ROLLOUT_SIGNS, whyOf } from '../../../core/rollout-words.ts';
import { getSession } from '../hub.ts';
import type { FeedState } from '../live/feed.ts';
import { useNowMs } from '../live/use-feed.ts';
import { Age } from '../moment.tsx';
import { follow, go } from '../route.ts';
import { useShortcuts } from '../shortcuts.tsx';
import { Actions } from './actions.tsx';
import { ActsPanel, DeniedPanel, RuleHitsPanel, SitesPanel } from './evidence.tsx';
import { SignMark } from './sign.tsx';
import { Stages } from './stages.tsx';
import { useRollout } from './use-rollout.ts';

/** As many as of the other stages. */
const REASONS_SHOWN = 2;

/** One rollout: its stages, the sites of one of them, what the traffic did, and what can be done. */
export function RolloutPage({ name, state }: { name: string; state: FeedState }) {
  const [stage, setStage] = useState<number | null>(null);
  const { detail, refusal, renew } = useRollout(name, stage, state);
  useShortcuts({ back: () => go('/rollouts') });
  return (
    <main id="content" tabIndex={-1} class="rollout-page">
      <p class="crumbs">
        <a href="/rollouts" onClick={follow}>
          ← Rollouts
        </a>
      </p>
      {detail !== null ? (
        <Detail detail={detail} state={state} chosen={stage} onChoose={setStage} onDone={renew} />
      ) : (
        <>
          <h1>{name}</h1>
          <p class="empty" role="status">
            {refusal === null
              ? 'Asking the hub …'
              : refusal.code === 'not-found'
                ? 'There is no rollout of an allowlist of this name.'
                : refusal.detail}
          </p>
        </>
      )}
    </main>
  );
}

function Detail({
  detail,
  state,
  chosen,
  onChoose,
  onDone,
}: {
  detail: RolloutDetail;
  state: FeedState;
  chosen: number | null;
  onChoose: (stage: number) => void;
  onDone: () => void;
}) {
  const role = useRole();
  const nowMs = useNowMs() + state.hubOffsetMs;
  const stale = state.phase !== 'live';
  // The live stream is ahead of what was asked for.
  const live = state.fleet?.rollouts.find((one) => one.name === detail.rollout.name);
  const rollout = live === undefined ? detail.rollout : withJudged(live, detail);
  const why = whyOf(rollout);
  return (
    <>
      <header class="rollout-head">
        <h1>{rollout.name}</h1>
        <SignMark sign={ROLLOUT_SIGNS[rollout.phase]} stale={stale} />
        <p class="muted">
          generation <span class="figure">{rollout.generation}</span>, changed{' '}
          <Age ms={rollout.updatedAtMs} nowMs={nowMs} /> ago by {rollout.updatedBy}
        </p>
        <Actions rollout={rollout} role={role} disabled={stale} onDone={onDone} />
      </header>
      {why.length > 0 && (
        <ul class="reasons">
          {why.map((reason) => (
            <li key={reason}>{reason}</li>
          ))}
        </ul>
      )}
      <Stages rollout={rollout} chosen={chosen ?? detail.stage} onChoose={onChoose} />
      <div class="panels">
        <RuleHitsPanel detail={detail} />
        <DeniedPanel denied={detail.denied} />
        <SitesPanel detail={detail} />
        <ActsPanel acts={detail.acts} />
      </div>
    </>
  );
}

/** The stage of which sites and rules are shown is shown as of the same evaluation, as long as it is where it was then. */
function withJudged(live: RolloutView, { rollout, stage: shown }: RolloutDetail): RolloutView {
  const judged = rollout.stages[shown];
  const isSame = (one: RolloutView['stages'][number]) =>
    live.generation === rollout.generation &&
    one.startedAtMs === judged?.startedAtMs &&
    one.phase === judged?.phase;
  const stages = live.stages.map((one, i) =>
    i === shown && judged !== undefined && isSame(one)
      ? { ...judged, reasons: judged.reasons.slice(0, REASONS_SHOWN) }
      : one,
  );
  return { ...live, stages };
}

/** In whose role the page asks; null until the hub has said. */
function useRole(): Role | null {
  const [role, setRole] = useState<Role | null>(null);
  useEffect(() => {
    let current = true;
    void getSession().then((answer) => {
      if (current && answer.ok) setRole(answer.value.role);
    });
    return () => {
      current = false;
    };
  }, []);
  return role;
}
