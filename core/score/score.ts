import type { Report } from '../model/report.ts';
import { COMPONENTS, type Component } from '../model/score.ts';
import { CAP, caps, PROBE_CAP, probeFault } from './caps.ts';
import { connectivity } from './connectivity.ts';
import type { Loss } from './loss.ts';
import { performance } from './performance.ts';
import { reliability } from './reliability.ts';
import { security } from './security.ts';
import { DEFAULT_WEIGHTS, type Weights } from './weights.ts';

export type ComponentLoss = Loss & { component: Component };
export type ComponentScores = Partial<Record<Component, number>>;

/** How one report scores by itself. `score` is capped by what it says of the site, `shown` by its probes' faults too. */
export type Scored = {
  score: number | null;
  shown: number | null;
  components: ComponentScores;
  /** Heaviest first, 24 at most; what is beyond that is added up as `further` of its component. */
  losses: ComponentLoss[];
  caps: string[];
  probeFault: string | null;
};

const MOST_LOSSES = 24;
const OBSERVE = { connectivity, reliability, security, performance } as const;

/** A pure function of one recorded report, so that scoring it again gives the same row. */
export function scoreReport(report: Report, weights: Weights = DEFAULT_WEIGHTS): Scored {
  const components: ComponentScores = {};
  const losses: ComponentLoss[] = [];
  for (const component of COMPONENTS) {
    const found = OBSERVE[component](report);
    if (found === null) continue;
    let points = 0;
    for (const one of found) {
      points += one.points;
      const { id, subject, observed } = one;
      losses.push({ component, id, subject, points: one.points, observed });
    }
    components[component] = Math.max(0, 100 - points);
  }
  const reasons = caps(report);
  const combined = combine(components, weights);
  const score = combined === null || reasons.length === 0 ? combined : Math.min(CAP, combined);
  const fault = probeFault(report);
  const shown = score === null || fault === null ? score : Math.min(PROBE_CAP, score);
  return { score, shown, components, losses: heaviest(losses), caps: reasons, probeFault: fault };
}

/** round(0.8 × min + 0.2 × weighted mean) over what is observed, by one division so that halves round up exactly. */
export function combine(components: ComponentScores, weights: Weights): number | null {
  let lowest = Number.POSITIVE_INFINITY;
  let weight = 0;
  let weighted = 0;
  for (const component of COMPONENTS) {
    const score = components[component];
    if (score === undefined) continue;
    lowest = Math.min(lowest, score);
    weight += weights[component];
    weighted += weights[component] * score;
  }
  return weight === 0 ? null : Math.round((8 * lowest * weight + 2 * weighted) / (10 * weight));
}

function heaviest(losses: ComponentLoss[]): ComponentLoss[] {
  const sorted = losses.sort((a, b) => b.points - a.points);
  if (sorted.length <= MOST_LOSSES) return sorted;
  const kept = sorted.slice(0, MOST_LOSSES - COMPONENTS.length);
  const rest = sorted.slice(kept.length);
  const further = COMPONENTS.flatMap((component): ComponentLoss[] => {
    const those = rest.filter((one) => one.component === component);
    if (those.length === 0) return [];
    const points = Math.min(
      100,
      those.reduce((sum, one) => sum + one.points, 0),
    );
    return [{ component, id: 'further', subject: '', points, observed: `${those.length} further penalties` }];
  });
  return [...kept, ...further].sort((a, b) => b.points - a.points);
}
