import { expect, it } from 'vitest';
import { readHandedOver, readLedgers } from '../../api/doctor/read-ledgers.ts';
import type { Store } from '../../core/ports/store.ts';

const RESTORED_AT_MS = 1_000_000;

/**
 * A site whose boot `a` lacks 11 to 15 from before the restore, and 31 to 35 from long after it where it `spans` it; `b` came
 * later, or, when that is null, not yet.
 */
function store(minuteCut: { boot: string; seq: number }[], spans: boolean | null): Store {
  const boot = (name: string, seqMax: number, stored: number, beganMs: number, endedMs: number) => ({
    site: 'one',
    boot: name,
    stored,
    seq_max: seqMax,
    prev_boot: '',
    prev_seq: 0,
    held_boot: name,
    held_seq: seqMax,
    began_ms: beganMs,
    ended_ms: endedMs,
  });
  const early = boot('a', 20, 15, 1000, RESTORED_AT_MS - 1);
  const late = boot('b', 9, 8, 6 * RESTORED_AT_MS, 7 * RESTORED_AT_MS);
  const whole = boot('a', 40, 30, 1000, 5 * RESTORED_AT_MS);
  const boots = spans === null ? [early] : [spans ? whole : early, late];
  const a = [
    [1, 10],
    [16, 30],
    [36, 40],
  ];
  const b = [
    [1, 4],
    [6, 9],
  ];
  const answers: [string, object[]][] = [
    ['boot_ledger', boots],
    [
      'stored_ranges',
      [
        { site: 'one', boot: 'a', ranges: a },
        { site: 'one', boot: 'b', ranges: b },
      ],
    ],
    ['site_minute', minuteCut.map((cut) => ({ site: 'one', ...cut }))],
  ];
  const nothing = async () => undefined;
  return {
    start: nothing,
    insert: nothing,
    derive: nothing,
    stop: nothing,
    query: async (sql) =>
      JSON.parse(JSON.stringify(answers.find(([table]) => sql.includes(table))?.[1] ?? [])),
  };
}

it('what was missing at a restore stays lost, and nothing that goes missing later becomes so as minutes expire', async () => {
  const handedOver = await readHandedOver(store([], null), ['one']);
  expect(handedOver).toEqual({ one: { boot: 'a', seq: 21 } });
  const restored = { restoredAtMs: RESTORED_AT_MS, handedOver };
  for (const oldest of [21, 38]) {
    const minutes = [
      { boot: 'a', seq: oldest },
      { boot: 'b', seq: 7 },
    ];
    const ledger = (await readLedgers(store(minutes, true), ['one'], restored)).get('one');
    expect(ledger).toMatchObject({ lost: 5, missing: 6, missingRanges: ['a #31 to #35', 'b #5'] });
  }
});

it('where nothing was noted of a site, what came before the first minute after the restore is lost', async () => {
  const restored = { restoredAtMs: RESTORED_AT_MS };
  const ledger = async (minutes: { boot: string; seq: number }[]) =>
    (await readLedgers(store(minutes, true), ['one'], restored)).get('one');
  expect(await ledger([{ boot: 'a', seq: 21 }])).toMatchObject({ lost: 5, missing: 6 });
  expect((await readLedgers(store([], true), ['one'], {})).get('one')).toMatchObject({
    lost: 0,
    missing: 11,
  });
});

it('a boot of which nothing was heard before the restore loses nothing to it as minutes expire', async () => {
  const answered = await readLedgers(store([{ boot: 'b', seq: 7 }], false), ['one'], {
    restoredAtMs: RESTORED_AT_MS,
  });
  expect(answered.get('one')).toMatchObject({ lost: 5, missing: 1, missingRanges: ['b #5'] });
});
