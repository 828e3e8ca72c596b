import fc from 'fast-check';
import { expect, test } from 'vitest';
import { hashOf } from '../../aggregator/authenticate.ts';
import { lookUp, nothingKnown } from '../../aggregator/known.ts';
import { createMemory, type Memory } from '../../aggregator/memory.ts';
import { emptyOutcome, type Outcome } from '../../aggregator/outcome.ts';
import { admit, conclude } from '../../aggregator/pipeline.ts';
import { createRegistry } from '../../aggregator/registry.ts';
import type { LogRecord } from '../../core/ports/log.ts';
import { DEFAULT_WEIGHTS } from '../../core/score/weights.ts';
import { report } from '../parts/report.ts';
import { BACKFILL, MASTER, recordOf, SPOOL_MAX_AGE_MS, silent, siteResource, viewOf } from './site.ts';
import { storeOf } from './stored.ts';

const SITE = 'jp-tokyo-1';
const site = siteResource(SITE);
const registry = createRegistry(viewOf({ [site.key]: site.value }), MASTER);
const BOOTS = ['00000001-0a1b2c3d', '00000002-9f8e7d6c'];

type Lane = 'live' | 'held';
/** `missed` is what two reports of one identity differ by. */
type Sent = { boot: string; seq: number; missed: number; lane: Lane };

/** Of each boot so many reports, each by one lane; some again by the lane of held ones, and some with another content. */
const history = fc
  .record({
    boots: fc.array(fc.array(fc.constantFrom<Lane>('live', 'live', 'held'), { maxLength: 40 }), {
      minLength: 1,
      maxLength: 2,
    }),
    extra: fc.array(
      fc.record({
        of: fc.nat(),
        at: fc.nat(),
        isOther: fc.boolean(),
        lane: fc.constantFrom<Lane>('live', 'held'),
      }),
      { maxLength: 12 },
    ),
  })
  .map(({ boots, extra }) => {
    const made = boots.flatMap((lanes, index) =>
      lanes.map((lane, at): Sent => ({ boot: BOOTS[index] ?? '', seq: at + 1, missed: 0, lane })),
    );
    const lanes = {
      live: made.filter(({ lane }) => lane === 'live'),
      held: made.filter(({ lane }) => lane === 'held'),
    };
    for (const { of, at, isOther, lane } of extra) {
      const original = made[of % Math.max(1, made.length)];
      if (original === undefined) continue;
      const sent = { ...original, lane: isOther ? lane : 'held', missed: isOther ? 1 : 0 } as const;
      const among = lanes[sent.lane];
      // A boot's first word on the live lane is its own: an impostor's would make the boot before it an older one.
      const first = sent.lane === 'held' ? 0 : 1 + among.findIndex(({ boot }) => boot === sent.boot);
      if (sent.lane === 'live' && first === 0) continue;
      among.splice(first + (at % (among.length - first + 1)), 0, sent);
    }
    return lanes;
  });

/** How the next batch is cut, and what becomes of it. */
const batchPlan = fc.record({
  live: fc.nat({ max: 12 }),
  held: fc.nat({ max: 12 }),
  heldFirst: fc.array(fc.boolean(), { minLength: 1, maxLength: 8 }),
  pieceSize: fc.integer({ min: 1, max: 6 }),
  ends: fc.constantFrom('well', 'well', 'restart', 'killed before commit', 'killed before publish'),
});

const recordsOf = (sent: readonly Sent[]) =>
  sent.map(({ boot, seq, missed, lane }, offset) => {
    const said = report({ boot, seq, missed });
    return recordOf(said, { offset, ...(lane === 'held' && BACKFILL) });
  });

/** In order within each lane, and otherwise as `heldFirst` says, over and over. */
function interleave(live: LogRecord[], held: LogRecord[], heldFirst: readonly boolean[]): LogRecord[] {
  const records: LogRecord[] = [];
  for (let at = 0; live.length + held.length > 0; at++) {
    const from = (heldFirst[at % heldFirst.length] && held.length > 0) || live.length === 0 ? held : live;
    records.push(...from.splice(0, 1));
  }
  return records;
}

test('of two contents under one identity one is stored and the other quarantined, and nothing else is refused', async () => {
  await fc.assert(
    fc.asyncProperty(history, fc.array(batchPlan, { minLength: 1, maxLength: 12 }), async (lanes, plans) => {
      const logs = { live: recordsOf(lanes.live), held: recordsOf(lanes.held) };
      const at = { live: 0, held: 0 };
      const store = storeOf();
      const states = viewOf();
      let memory = createMemory(states, silent);
      const refused: LogRecord[] = [];
      for (let turn = 0; at.live < logs.live.length || at.held < logs.held.length; turn++) {
        // After the planned ones all is well, so that it ends.
        const plan = plans[turn] ?? {
          live: 7,
          held: 5,
          heldFirst: [false, true],
          pieceSize: 4,
          ends: 'well',
        };
        const to = { live: at.live + plan.live, held: at.held + plan.held };
        const records = interleave(
          logs.live.slice(at.live, to.live),
          logs.held.slice(at.held, to.held),
          plan.heldFirst,
        );
        const outcome = await take(records, plan.pieceSize, memory, store);
        await store.insert('report', outcome.reports);
        for (const { record, refusal } of outcome.refused) {
          expect(refusal.reason).toBe('conflict');
          refused.push(record);
        }
        if (plan.ends !== 'killed before commit') Object.assign(at, to);
        if (plan.ends === 'well' || plan.ends === 'restart')
          for (const [key, state] of outcome.states) states.put(key, Buffer.from(JSON.stringify(state)));
        if (plan.ends !== 'well') memory = createMemory(states, silent);
      }
      const stored = contentsOf(
        store.rows().map(({ boot, seq, payload_hash: hash }) => ({ boot, seq, hash })),
      );
      const away = contentsOf(refused.map(contentOf));
      const all = contentsOf([...logs.live, ...logs.held].map(contentOf));
      for (const [identity, contents] of all) {
        const kept = stored.get(identity) ?? new Set();
        const turnedAway = away.get(identity) ?? new Set();
        expect(kept.size).toBe(1);
        // One that came twice may be stored although it was refused on the live lane, where its boot was too old.
        expect([...contents].filter((content) => !kept.has(content) && !turnedAway.has(content))).toEqual([]);
        if (contents.size === 1) expect(turnedAway.size).toBe(0);
      }
    }),
    { numRuns: 300 },
  );
});

async function take(
  records: readonly LogRecord[],
  pieceSize: number,
  memory: Memory,
  store: ReturnType<typeof storeOf>,
): Promise<Outcome> {
  const outcome = emptyOutcome();
  const known = nothingKnown();
  for (let from = 0; from < records.length; from += pieceSize) {
    const admitted = admit(records.slice(from, from + pieceSize), registry, SPOOL_MAX_AGE_MS);
    await lookUp(store, memory, admitted.authentic, known);
    conclude(admitted, known, memory, DEFAULT_WEIGHTS, outcome);
  }
  return outcome;
}

type Content = { boot: string; seq: number; hash: string };

function contentOf({ value }: LogRecord): Content {
  const json = value.subarray(32);
  const { boot, seq }: Content = JSON.parse(Buffer.from(json).toString());
  return { boot, seq, hash: hashOf(json) };
}

function contentsOf(contents: readonly Content[]): Map<string, Set<string>> {
  const by = new Map<string, Set<string>>();
  for (const { boot, seq, hash } of contents) {
    const identity = `${boot}/${seq}`;
    by.set(identity, (by.get(identity) ?? new Set()).add(hash));
  }
  return by;
}

test('the store is asked when a site or a boot begins, and not again for what comes in order', async () => {
  const stored = storeOf();
  let asked = 0;
  const store: typeof stored = {
    ...stored,
    query: (sql, params) => {
      asked++;
      return stored.query(sql, params);
    },
  };
  const memory = createMemory(viewOf(), silent);
  const questions = async (boot: string, seq: number) => {
    asked = 0;
    const { reports } = await take([recordOf(report({ boot, seq }))], 1, memory, store);
    await store.insert('report', reports);
    return asked;
  };
  const [first = '', second = ''] = BOOTS;
  expect(await questions(first, 1)).toBe(2);
  for (const seq of [2, 3, 7]) expect(await questions(first, seq)).toBe(0);
  expect(await questions(second, 1)).toBe(2);
  expect(await questions(second, 2)).toBe(0);
});
