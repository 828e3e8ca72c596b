import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type BootRecord, placed, reconcile } from '../../api/doctor/ledger.ts';
import { merged, type Range, sizeOf, without } from '../../api/doctor/ranges.ts';

const range = fc
  .tuple(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 0, max: 12 }))
  .map(([from, length]): Range => ({ from, to: from + length }));
const ranges = fc.array(range, { maxLength: 6 });
const numbersOf = (list: readonly Range[]) =>
  new Set(list.flatMap(({ from, to }) => Array.from({ length: to - from + 1 }, (_, i) => from + i)));

test('ranges are sets of numbers', () => {
  fc.assert(
    fc.property(ranges, ranges, (whole, parts) => {
      expect(numbersOf(merged(whole))).toEqual(numbersOf(whole));
      const left = without(whole, parts);
      expect(numbersOf(left)).toEqual(new Set([...numbersOf(whole)].filter((n) => !numbersOf(parts).has(n))));
      expect(sizeOf(left)).toBe(numbersOf(left).size);
    }),
  );
});

describe('the ledger', () => {
  const boot = fc.record({
    last: fc.integer({ min: 0, max: 80 }),
    stored: ranges,
    quarantined: ranges,
    dropped: ranges,
    lostBelow: fc.oneof(fc.nat(90), fc.constant(Number.POSITIVE_INFINITY)),
  });
  test('counts each number once, as a count over sets does', () => {
    fc.assert(
      fc.property(
        fc.array(boot, { maxLength: 4 }),
        fc.nat(4),
        fc.integer({ min: 1, max: 80 }),
        (found, at, seq) => {
          const boots: BootRecord[] = found.map((one, i) => ({ boot: `0000000${i + 1}-0a1b2c3d`, ...one }));
          const held = boots[at] === undefined ? null : { boot: boots[at].boot, seq };
          const ledger = reconcile('site', boots, held);
          const { sent, stored, quarantined, pending, gaps, lost, missing } = ledger;
          expect(sent).toBe(stored + quarantined + pending + gaps + lost + missing);
          const expected = { sent: 0, stored: 0, quarantined: 0, pending: 0, gaps: 0, lost: 0, missing: 0 };
          for (const [i, one] of boots.entries())
            for (let n = 1; n <= one.last; n++) {
              expected.sent++;
              if (numbersOf(one.stored).has(n)) expected.stored++;
              else if (numbersOf(one.quarantined).has(n)) expected.quarantined++;
              else if (numbersOf(one.dropped).has(n)) expected.gaps++;
              else if (held !== null && (i > at || (i === at && n >= seq))) expected.pending++;
              else if (n < one.lostBelow) expected.lost++;
              else expected.missing++;
            }
          expect(ledger).toMatchObject(expected);
        },
      ),
    );
  });

  test('names at most 20 ranges', () => {
    const stored = Array.from({ length: 50 }, (_, i) => ({ from: 2 * i + 2, to: 2 * i + 2 }));
    const ledger = reconcile(
      'site',
      [{ boot: '00000001-0a1b2c3d', last: 101, stored, quarantined: [], dropped: [], lostBelow: 0 }],
      null,
    );
    expect(ledger).toMatchObject({ stored: 50, missing: 51 });
    expect(ledger.missingRanges).toHaveLength(20);
    expect(ledger.missingRanges[0]).toBe('00000001-0a1b2c3d #1');
  });

  test('a boot that only gaps tell of comes where its count says, so that its holes are not called pending', () => {
    const boot = (name: string, last: number, part: Partial<BootRecord> = {}): BootRecord => ({
      boot: name,
      last,
      stored: [],
      quarantined: [],
      dropped: [],
      lostBelow: 0,
      ...part,
    });
    const second = boot('00000002-0a1b2c3d', 3, { stored: [{ from: 1, to: 3 }] });
    const anew = boot('00000001-ffffffff', 1, { stored: [{ from: 1, to: 1 }] });
    const first = boot('00000001-0a1b2c3d', 5, { dropped: [{ from: 4, to: 5 }] });
    const third = boot('00000003-0a1b2c3d', 1, { dropped: [{ from: 1, to: 1 }] });
    const boots = placed([second, anew], [third, first]);
    expect(boots).toEqual([first, second, anew, third]);
    const ledger = reconcile('site', boots, { boot: second.boot, seq: 3 });
    expect(ledger).toMatchObject({ sent: 10, stored: 4, gaps: 3, missing: 3, pending: 0 });
  });
});
