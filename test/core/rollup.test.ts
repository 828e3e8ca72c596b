import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { healthState } from '../../core/model/score.ts';
import { type Member, rollup } from '../../core/rollup.ts';

function member(id: string, score: number | null, part: Partial<Member> = {}): Member {
  return {
    id,
    state: healthState(score),
    freshness: 'heard',
    score,
    reason: '',
    cpu: null,
    memory: null,
    links: { total: 2, up: 2 },
    ...part,
  };
}

describe('a rollup', () => {
  test('counts every member once by state, also the silent ones', () => {
    const silent = member('d', null, { state: 'unknown', freshness: 'silent', cpu: 0.9 });
    const { members, byState, cpuHistogram, linksTotal } = rollup([
      member('a', 90),
      member('b', 75),
      member('c', 10),
      silent,
    ]);
    expect(members).toBe(4);
    expect(byState).toEqual({ green: 1, orange: 1, red: 1, unknown: 1 });
    expect(cpuHistogram.every((sites) => sites === 0)).toBe(true);
    expect(linksTotal).toBe(6);
  });

  test('names the ten worst, worst first, with the reason', () => {
    const sites = Array.from({ length: 3000 }, (_, i) =>
      member(`s${String(i).padStart(4, '0')}`, (i * 37) % 101, { reason: `r${i}` }),
    );
    const { worst } = rollup(sites);
    const expected = [...sites].sort((a, b) => (a.score ?? 0) - (b.score ?? 0) || (a.id < b.id ? -1 : 1));
    expect(worst).toEqual(
      expected.slice(0, 10).map(({ id, score, reason }) => ({ site: id, score, reason })),
    );
  });

  test('gives quantiles by nearest rank', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 100 }), { minLength: 1, maxLength: 200 }), (scores) => {
        const sorted = [...scores].sort((a, b) => a - b);
        const rank = (q: number) => sorted[Math.max(1, Math.ceil(q * sorted.length)) - 1];
        const mean = scores.reduce((sum, one) => sum + one, 0) / scores.length;
        expect(rollup(scores.map((one, i) => member(`s${i}`, one))).score).toEqual({
          min: sorted[0],
          p10: rank(0.1),
          p50: rank(0.5),
          p90: rank(0.9),
          mean,
        });
      }),
    );
  });

  test('puts utilisation into twenty buckets, a full site into the last', () => {
    const { memoryHistogram } = rollup(
      [0, 0.049, 0.05, 0.99, 1].map((memory, i) => member(`s${i}`, 100, { memory })),
    );
    expect(memoryHistogram[0]).toBe(2);
    expect(memoryHistogram[1]).toBe(1);
    expect(memoryHistogram[19]).toBe(2);
  });

  test('of nobody has no score', () => {
    expect(rollup([])).toMatchObject({ members: 0, score: null, worst: [] });
  });
});
