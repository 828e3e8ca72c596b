import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { addDropped, boundDropped, subtractDropped } from '../../core/dropped-ranges.ts';
import type { DroppedRange } from '../../core/model/report.ts';

const range = fc
  .record({
    boot: fc.constantFrom('00000001-aaaaaaaa', '00000002-bbbbbbbb'),
    from: fc.nat(40),
    size: fc.nat(8),
  })
  .map(({ boot, from, size }): DroppedRange => ({ boot, from, to: from + size }));
const ranges = fc.array(range, { maxLength: 12 });

function numbers(of: readonly DroppedRange[]): string[] {
  const all = new Set<string>();
  for (const { boot, from, to } of of) for (let seq = from; seq <= to; seq += 1) all.add(`${boot} ${seq}`);
  return [...all].sort();
}

describe('dropped ranges', () => {
  it('add up to the union, in order and without neighbours', () => {
    fc.assert(
      fc.property(ranges, ranges, (a, b) => {
        const sum = addDropped(addDropped([], a), b);
        expect(numbers(sum)).toEqual(numbers([...a, ...b]));
        for (const [index, each] of sum.entries()) {
          const next = sum[index + 1];
          if (next?.boot === each.boot) expect(next.from).toBeGreaterThan(each.to + 1);
        }
      }),
    );
  });

  it('subtract exactly what is named', () => {
    fc.assert(
      fc.property(ranges, ranges, (a, b) => {
        const gone = new Set(numbers(b));
        expect(numbers(subtractDropped(addDropped([], a), b))).toEqual(
          numbers(a).filter((each) => !gone.has(each)),
        );
      }),
    );
  });

  it('are bounded without forgetting a number of a boot that has two ranges', () => {
    fc.assert(
      fc.property(ranges, fc.integer({ min: 2, max: 6 }), (a, limit) => {
        const all = addDropped([], a);
        const bounded = boundDropped(all, limit);
        expect(bounded.length).toBeLessThanOrEqual(limit);
        const kept = new Set(numbers(bounded));
        for (const each of numbers(all)) expect(kept.has(each)).toBe(true);
      }),
    );
  });
});
