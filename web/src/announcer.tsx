import { useEffect, useRef, useState } from 'preact/hooks';
import type { HealthState } from '../../core/model/score.ts';
import { counted } from './format.ts';
import type { FeedState } from './live/feed.ts';
import { STATE_WORDS } from './state-words.ts';

const AT_MOST_EVERY_MS = 10_000;

/** Tells those who listen rather than look: the connection at once, changes of state gathered, at most every 10 s. */
export function Announcer({ state }: { state: FeedState }) {
  const [text, setText] = useState('');
  const told = useRef<Map<string, HealthState>>(new Map());
  const toldAtMs = useRef(0);
  const phase = useRef(state.phase);

  useEffect(() => {
    if (phase.current === state.phase) return;
    if (state.phase === 'away') setText('Not connected to the hub. What is shown is out of date.');
    else if (state.phase === 'live' && phase.current === 'away') setText('Connected to the hub again.');
    phase.current = state.phase;
  }, [state.phase]);

  useEffect(() => {
    if (state.phase !== 'live' || state.fleet === null) return;
    const nowMs = Date.now();
    if (nowMs - toldAtMs.current < AT_MOST_EVERY_MS) return;
    const first = told.current.size === 0;
    const changed = new Map<HealthState, string[]>();
    const states = new Map<string, HealthState>();
    for (const site of state.fleet.sites.values()) {
      states.set(site.id, site.state);
      const before = told.current.get(site.id);
      if (before === undefined || before === site.state) continue;
      changed.set(site.state, [...(changed.get(site.state) ?? []), site.id]);
    }
    told.current = states;
    if (first || changed.size === 0) return;
    toldAtMs.current = nowMs;
    setText([...changed].map(([to, ids]) => sentence(to, ids)).join(' '));
  }, [state]);

  return (
    <p class="unseen" aria-live="polite" data-announcer>
      {text}
    </p>
  );
}

function sentence(to: HealthState, ids: readonly string[]): string {
  const who = ids.length <= 3 ? ids.join(', ') : counted(ids.length, 'site');
  return `Now ${STATE_WORDS[to].toLowerCase()}: ${who}.`;
}
