import type { HealthState } from '../../core/model/score.ts';
import { STATE_WORDS } from './state-words.ts';

/** Colour and shape of a state: circle, triangle, square, hollow diamond. Always stands beside the word. */
export function StateShape({ state }: { state: HealthState }) {
  return (
    <svg class={`shape ${state}`} viewBox="0 0 12 12" aria-hidden="true">
      {state === 'green' && <circle cx="6" cy="6" r="4.6" fill="currentColor" />}
      {state === 'orange' && <path d="M6 .8 11.6 11H.4z" fill="currentColor" />}
      {state === 'red' && <rect x="1.4" y="1.4" width="9.2" height="9.2" fill="currentColor" />}
      {state === 'unknown' && (
        <path d="M6 1.2 10.8 6 6 10.8 1.2 6z" fill="none" stroke="currentColor" stroke-width="1.5" />
      )}
    </svg>
  );
}

/** `stale` says in a word that it is what was known last. */
export function StateMark({ state, stale = false }: { state: HealthState; stale?: boolean }) {
  return (
    <span class={`state ${state}`}>
      <StateShape state={state} />
      <span>
        {stale && 'was '}
        {STATE_WORDS[state]}
      </span>
    </span>
  );
}

export function SimulatedBadge() {
  return (
    <abbr class="badge" title="A simulated site: its figures are made up">
      sim
    </abbr>
  );
}
