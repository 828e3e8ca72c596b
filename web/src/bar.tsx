import { percent } from './format.ts';

/** A utilisation as figure and bar. From 85% on it costs points (DESIGN, performance), so it is marked from there. */
export function Utilisation({ ratio }: { ratio: number | null | undefined }) {
  if (ratio === null || ratio === undefined) return <span class="figure absent">–</span>;
  const level = ratio >= 0.95 ? 'full' : ratio >= 0.85 ? 'high' : 'usual';
  return (
    <span class="utilisation">
      <span class="figure">{percent(ratio)}</span>
      <svg class={`bar ${level}`} viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true">
        <rect class="track" width="100" height="6" rx="1" />
        <rect class="filled" width={Math.max(0, Math.min(1, ratio)) * 100} height="6" rx="1" />
      </svg>
    </span>
  );
}
