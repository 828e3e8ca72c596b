import type { Rollup, SiteView } from './model/view.ts';

/** What a rollup reads of each registered member. */
export type Member = Pick<
  SiteView,
  'id' | 'state' | 'freshness' | 'score' | 'reason' | 'cpu' | 'memory' | 'links'
>;

const WORST = 10;
const BUCKETS = 20;

/** Of every member, fresh or not: those that are not fresh count as unknown and in no figure. One pass, no memory of the last. */
export function rollup(members: Iterable<Member>): Rollup {
  const byState = { green: 0, orange: 0, red: 0, unknown: 0 };
  const cpuHistogram = new Array<number>(BUCKETS).fill(0);
  const memoryHistogram = new Array<number>(BUCKETS).fill(0);
  const byScore = new Uint32Array(101);
  let worst: Member[] = [];
  let count = 0;
  let linksUp = 0;
  let linksTotal = 0;
  for (const member of members) {
    count++;
    byState[member.state]++;
    if (member.freshness !== 'heard') continue;
    tally(cpuHistogram, member.cpu);
    tally(memoryHistogram, member.memory);
    linksUp += member.links.up;
    linksTotal += member.links.total;
    if (member.score === null) continue;
    const score = Math.min(100, Math.max(0, Math.round(member.score)));
    byScore[score] = (byScore[score] ?? 0) + 1;
    worst.push(member);
    if (worst.length >= 1000) worst = lowest(worst);
  }
  return {
    members: count,
    byState,
    score: distribution(byScore),
    worst: lowest(worst).map(({ id, score, reason }) => ({ site: id, score: score ?? 0, reason })),
    cpuHistogram,
    memoryHistogram,
    linksUp,
    linksTotal,
  };
}

function tally(histogram: number[], ratio: number | null): void {
  if (ratio === null) return;
  const bucket = Math.min(BUCKETS - 1, Math.max(0, Math.floor(ratio * BUCKETS)));
  histogram[bucket] = (histogram[bucket] ?? 0) + 1;
}

function lowest(members: Member[]): Member[] {
  return members.sort((a, b) => (a.score ?? 0) - (b.score ?? 0) || (a.id < b.id ? -1 : 1)).slice(0, WORST);
}

/** Quantiles by nearest rank, from how many sites have each score. */
function distribution(byScore: Uint32Array): Rollup['score'] {
  let count = 0;
  let sum = 0;
  for (const [score, sites] of byScore.entries()) {
    count += sites;
    sum += score * sites;
  }
  if (count === 0) return null;
  const rank = (quantile: number): number => {
    let left = Math.max(1, Math.ceil(quantile * count));
    for (const [score, sites] of byScore.entries()) {
      left -= sites;
      if (left <= 0) return score;
    }
    return 100;
  };
  return { min: rank(0), p10: rank(0.1), p50: rank(0.5), p90: rank(0.9), mean: sum / count };
}
