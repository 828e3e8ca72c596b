import { expect, test } from 'vitest';
import { age, bytes, count, duration, milliseconds, percent } from '../../web/src/format.ts';

test('figures read the same everywhere, with their unit', () => {
  expect(count(1_234_567)).toBe('1\u202f234\u202f567');
  expect([bytes(0), bytes(1023), bytes(1536), bytes(16.5 * 1024 ** 3)]).toEqual([
    '0 B',
    '1023 B',
    '1.5 KiB',
    '16.5 GiB',
  ]);
  expect([milliseconds(0.42), milliseconds(12.04), milliseconds(412), milliseconds(1240)]).toEqual([
    '0.42 ms',
    '12 ms',
    '412 ms',
    '1.24 s',
  ]);
  expect([duration(0), duration(200_000), duration(187_200_000)]).toEqual(['0 s', '3 min 20 s', '2 d 4 h']);
  expect([age(12_900), age(180_000), age(7_200_000)]).toEqual(['12 s', '3 min', '2 h']);
});

test('nothing observed is a dash, never a zero, and a little is not nothing', () => {
  expect([percent(null), percent(0), percent(0.001), percent(0.998), percent(1)]).toEqual([
    '–',
    '0%',
    '<1%',
    '>99%',
    '100%',
  ]);
  expect(milliseconds(undefined)).toBe('–');
});
