import { useState } from 'preact/hooks';
import type { Trouble } from '../../core/model/trouble.ts';
import { clockTime, duration } from './format.ts';
import type { Feed, FeedState } from './live/feed.ts';
import { useNowMs } from './live/use-feed.ts';
import { Moment } from './moment.tsx';

/** What stands above every page when what it shows is not, or may not be, the present. */
export function Notices({ feed, state }: { feed: Feed; state: FeedState }) {
  return (
    <>
      {state.phase === 'away' && <Disconnected feed={feed} state={state} />}
      {state.phase === 'live' && state.fleet !== null && !state.fleet.hub.caughtUp && (
        <div class="notice caution">
          <p>
            <strong>The hub is catching up.</strong> It still reads what came in earlier, so figures are
            behind and no site is called silent yet.
          </p>
        </div>
      )}
      {state.fleet?.hub.troubles
        .filter(({ severity }) => severity === 'critical')
        .map((trouble) => (
          <Troubled key={trouble.code} {...trouble} />
        ))}
      {state.fleet?.hub.blind && <Blind {...state.fleet.hub.blind} />}
    </>
  );
}

function Disconnected({ feed, state }: { feed: Feed; state: FeedState }) {
  const nowMs = useNowMs();
  const { heardAtMs, retryAtMs } = state;
  const inS = retryAtMs === null ? null : Math.max(0, Math.ceil((retryAtMs - nowMs) / 1000));
  return (
    <div class="notice trouble" data-notice="disconnected">
      <p>
        <strong>Not connected to the hub.</strong>{' '}
        {heardAtMs === null ? (
          'Nothing was received yet.'
        ) : (
          <>
            Everything below is as of <Moment ms={heardAtMs} short />, {duration(nowMs - heardAtMs)} ago.
          </>
        )}{' '}
        <span class="figure">{inS === null ? 'Trying now …' : `Next try in ${inS} s.`}</span>
      </p>
      <button type="button" onClick={() => feed.retryNow()}>
        Try now
      </button>
    </div>
  );
}

/** Lasts until it is mended, so that it can't be dismissed. */
function Troubled({ code, detail, remedy, sinceMs }: Trouble) {
  return (
    <div class="notice trouble" data-notice={code}>
      <p>
        <strong>{detail}</strong>, since <Moment ms={sinceMs} short />. What to do: {remedy}.
      </p>
    </div>
  );
}

function Blind({ fromMs, toMs }: { fromMs: number; toMs: number }) {
  const [dismissed, setDismissed] = useState(0);
  if (dismissed === toMs) return null;
  return (
    <div class="notice caution" data-notice="blind">
      <p>
        <strong>The hub itself heard nobody</strong> from {clockTime(fromMs)} to {clockTime(toMs)} (
        {duration(toMs - fromMs)}). Holes in that stretch are the hub's, not the sites'.
      </p>
      <button type="button" onClick={() => setDismissed(toMs)}>
        Dismiss
      </button>
    </div>
  );
}
