import type { Rollout } from '../../core/model/rollout.ts';
import { matches } from '../../core/selector.ts';
import type { Directory } from '../directory.ts';

/** Under which the evidence and decisions of a stage are stored; null before it began. */
export function stageKey({ spec }: Rollout, stage: number): string | null {
  const startedAtMs = spec.stages[stage]?.startedAtMs ?? null;
  return startedAtMs === null ? null : `${spec.generation}/${stage}/${startedAtMs}`;
}

/** The sites that a stage is about: those its virtual site selects by given labels, less those of an earlier stage. */
export function stageSites({ spec }: Rollout, stage: number, { sites, virtualSites }: Directory): string[] {
  const names = spec.strategy.stages.map(({ virtualSite }) => virtualSite);
  const wanted = names[stage];
  const earlier = names.slice(0, stage).filter((name) => name !== wanted);
  const isIn = (name: string, labels: Record<string, string>) => {
    const known = virtualSites.get(name);
    return known !== undefined && matches(known.selector, labels);
  };
  return [...sites.values()].flatMap(({ metadata, spec: { labels } }) =>
    wanted !== undefined && isIn(wanted, labels) && !earlier.some((name) => isIn(name, labels))
      ? [metadata.name]
      : [],
  );
}
