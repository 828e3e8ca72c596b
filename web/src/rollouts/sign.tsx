import type { Sign } from '../../../core/rollout-words.ts';

const STATES = { good: 'green', doubtful: 'orange', bad: 'red', moving: 'moving', quiet: 'unknown' } as const;

/** Where something stands: by colour, shape and word. `stale` says in a word that it is what was known last. */
export function SignMark({ sign, stale = false }: { sign: Sign; stale?: boolean }) {
  return (
    <span class={`state ${STATES[sign.tone]}`}>
      <span class="sign-shape" aria-hidden="true">
        {sign.shape}
      </span>
      <span>
        {stale && 'was '}
        {sign.word}
      </span>
    </span>
  );
}
