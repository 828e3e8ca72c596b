import { useEffect, useState } from 'preact/hooks';
import type { RolloutDetail } from '../../../core/model/policy-view.ts';
import { getRollout, type Refusal } from '../hub.ts';
import type { FeedState } from '../live/feed.ts';

/** Asked for when the live stream shows that it moved on, and anyway this often, since hits come between decisions. */
const EVERY_MS = 5_000;
const NOT_MORE_OFTEN_MS = 1_000;

type RolloutState = { detail: RolloutDetail | null; refusal: Refusal | null };

/** The newest full picture of a rollout and the sites of one of its stages. While the hub is away, the last one stays. */
export function useRollout(
  name: string,
  stage: number | null,
  state: FeedState,
): RolloutState & { renew(): void } {
  const [shown, setShown] = useState<RolloutState>({ detail: null, refusal: null });
  const [asked, setAsked] = useState({ atMs: 0, times: 0 });
  const live = state.phase === 'live';
  const movedAtMs = state.fleet?.rollouts.find((one) => one.name === name)?.updatedAtMs ?? null;

  useEffect(() => {
    if (!live && asked.atMs > 0) return;
    let current = true;
    const ask = async () => {
      setAsked((old) => ({ ...old, atMs: Date.now() }));
      const answer = await getRollout(name, stage);
      if (!current) return;
      setShown((old) =>
        answer.ok
          ? { detail: answer.value, refusal: null }
          : { detail: answer.code === 'not-found' ? null : old.detail, refusal: answer },
      );
    };
    const soon = setTimeout(ask, Math.max(0, asked.atMs + NOT_MORE_OFTEN_MS - Date.now()));
    const again = setInterval(ask, EVERY_MS);
    return () => {
      current = false;
      clearTimeout(soon);
      clearInterval(again);
    };
  }, [name, stage, live, movedAtMs, asked.times]);
  return { ...shown, renew: () => setAsked(({ times }) => ({ atMs: 0, times: times + 1 })) };
}
