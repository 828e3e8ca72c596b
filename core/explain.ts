import { shownState } from './freshness.ts';
import { COMPONENTS } from './model/score.ts';
import type { SiteState } from './model/site-state.ts';
import type { Freshness, ScoreExplanation } from './model/view.ts';
import { combine } from './score/score.ts';
import { DEFAULT_WEIGHTS, type Weights } from './score/weights.ts';

/**
 * How a site's score came about. The figures are those of the newest live report, also when it is no longer fresh; then
 * there is no score, and the arithmetic says what it last was.
 */
export function explain(
  site: string,
  state: SiteState | null,
  fresh: Freshness,
  weights: Weights = DEFAULT_WEIGHTS,
): ScoreExplanation {
  const known = state !== null && fresh === 'heard';
  return {
    site,
    state: shownState(state, fresh),
    freshness: fresh,
    score: known ? state.score : null,
    shown: known ? state.shown : null,
    components: state === null ? [] : componentsOf(state, weights),
    arithmetic: state === null ? 'nothing was ever reported' : arithmetic(state, fresh, weights),
    caps: state?.caps ?? [],
    observedAtMs: state?.ts ?? null,
  };
}

function componentsOf(state: SiteState, weights: Weights): ScoreExplanation['components'] {
  return COMPONENTS.flatMap((component) => {
    const score = state.components[component];
    if (score === undefined) return [];
    const penalties = state.penalties.filter((penalty) => penalty.component === component);
    return [{ component, score, weight: weights[component], penalties }];
  });
}

/** As "0.8 × 62 (connectivity, the lowest) + 0.2 × 78.4 (weighted mean) = 65". */
function arithmetic(state: SiteState, fresh: Freshness, weights: Weights): string {
  const observed = componentsOf(state, weights);
  const [first, ...others] = observed;
  const combined = combine(state.components, weights);
  if (first === undefined || combined === null) return 'nothing was observed that could be scored';
  const lowest = others.reduce((low, one) => (one.score < low.score ? one : low), first);
  const weight = observed.reduce((sum, one) => sum + one.weight, 0);
  const mean = observed.reduce((sum, one) => sum + one.weight * one.score, 0) / weight;
  const last = fresh === 'heard' ? '' : 'not fresh; last known: ';
  const sum = `0.8 × ${lowest.score} (${lowest.component}, the lowest) + 0.2 × ${Number(mean.toFixed(3))} (weighted mean)`;
  return `${last}${sum} = ${combined}${capped(state, combined)}`;
}

function capped({ score, shown, caps }: SiteState, combined: number): string {
  const reasons = caps.length === 0 ? '' : ` (${caps.join('; ')})`;
  if (score !== null && score < combined) {
    return `, capped at ${score}${reasons}`;
  }
  return shown !== null && shown < combined ? `, shown as ${shown}${reasons}` : '';
}
