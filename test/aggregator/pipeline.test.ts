import { beforeEach, describe, expect, test } from 'vitest';
import { hashOf } from '../../aggregator/authenticate.ts';
import { insertRows } from '../../aggregator/effects.ts';
import { identityOf, type Known, nothingKnown } from '../../aggregator/known.ts';
import { createMemory, type Memory } from '../../aggregator/memory.ts';
import { admit, conclude } from '../../aggregator/pipeline.ts';
import { createRegistry } from '../../aggregator/registry.ts';
import { minuteOf } from '../../core/account.ts';
import type { Report } from '../../core/model/report.ts';
import type { LogRecord } from '../../core/ports/log.ts';
import type { Store } from '../../core/ports/store.ts';
import { DEFAULT_WEIGHTS } from '../../core/score/weights.ts';
import { link, report } from '../parts/report.ts';
import { BACKFILL, MASTER, recordOf, SPOOL_MAX_AGE_MS, silent, siteResource, viewOf } from './site.ts';

const site = siteResource('jp-tokyo-1');
const registry = createRegistry(viewOf({ [site.key]: site.value }), MASTER);
const OLD = '00000001-0a1b2c3d';
const NEW = '00000002-9f8e7d6c';
const NEW_TWIN = '00000002-11111111';

let memory: Memory;
beforeEach(() => {
  memory = createMemory(viewOf(), silent);
});

function take(records: LogRecord[], known: Known = nothingKnown()) {
  const admitted = admit(records, registry, SPOOL_MAX_AGE_MS);
  return conclude(admitted, known, memory, DEFAULT_WEIGHTS);
}
/** As if the store had answered that it has this report. */
function inStore(said: Report): Known {
  const known = nothingKnown();
  known.hashes.set(identityOf(said.site, said.boot, said.seq), hashOf(Buffer.from(JSON.stringify(said))));
  return known;
}
const live = (part: Partial<Report>, record: Partial<LogRecord> = {}) => recordOf(report(part), record);
const held = (part: Partial<Report>, record: Partial<LogRecord> = {}) =>
  recordOf(report(part), { ...BACKFILL, appendedAtMs: report(part).ts + 600_000, ...record });
const stateOf = () => memory.of('jp-tokyo-1').state;

describe('identity', () => {
  test('the same report again is stored again, and counted as repeated', () => {
    const { reports, stored, repeated, refused } = take([live({ seq: 1 }), live({ seq: 1 })]);
    expect([reports.length, stored, repeated, refused.length]).toEqual([2, 1, 1, 0]);
  });

  test('another report under the same identity is a conflict, in one batch, a later one, and from the store', () => {
    const other = { seq: 1, missed: 1 };
    expect(take([live({ seq: 1 }), live(other)]).refused).toMatchObject([
      { refusal: { reason: 'conflict' } },
    ]);
    expect(take([live(other)]).refused).toHaveLength(1);
    memory.forget();
    expect(take([live(other)], inStore(report({ seq: 1 }))).refused).toHaveLength(1);
    expect(take([held(other)], inStore(report({ seq: 1 }))).refused).toHaveLength(1);
    memory.forget();
    expect(take([live({ seq: 1 })], inStore(report({ seq: 1 })))).toMatchObject({ repeated: 1, refused: [] });
  });

  test('two held reports of one identity in one batch conflict', () => {
    take([live({ boot: NEW, seq: 1 })]);
    const { refused } = take([held({ seq: 5 }), held({ seq: 5, missed: 3 })]);
    expect(refused).toHaveLength(1);
  });

  test('a live report of an older boot is a conflict whose event names both boots', () => {
    take([live({ boot: NEW, seq: 1 })]);
    const { refused, events, reports } = take([live({ boot: OLD, seq: 900 })]);
    expect(reports).toEqual([]);
    expect(refused).toMatchObject([{ refusal: { reason: 'conflict', claim: { boot: OLD, seq: 900 } } }]);
    expect(events).toMatchObject([{ kind: 'report.conflict', severity: 'critical', site: 'jp-tokyo-1' }]);
    expect(events[0]?.message).toContain(OLD);
    expect(events[0]?.message).toContain(NEW);
  });

  test('a held report of an older boot is welcome', () => {
    take([live({ boot: NEW, seq: 1 })]);
    expect(take([held({ boot: OLD, seq: 900 })])).toMatchObject({ stored: 1, refused: [] });
  });

  test('two boots with one counter conflict in both lanes', () => {
    take([live({ boot: NEW, seq: 1 })]);
    expect(take([live({ boot: NEW_TWIN, seq: 2 })]).refused).toHaveLength(1);
    expect(take([held({ boot: NEW_TWIN, seq: 3 })]).refused).toHaveLength(1);
    expect(stateOf()?.boot).toBe(NEW);
  });

  test('an older boot that the store knows is a redelivery, not a conflict', () => {
    take([live({ boot: NEW, seq: 1 })]);
    const again = report({ boot: OLD, seq: 900 });
    expect(take([recordOf(again)], inStore(again))).toMatchObject({ repeated: 1, refused: [] });
    expect(stateOf()?.boot).toBe(NEW);
  });

  test('a forgotten memory still knows the newest report from the state', () => {
    take([live({ seq: 4 })]);
    const bytes = Buffer.from(JSON.stringify(stateOf()));
    memory = createMemory(viewOf({ 'jp-tokyo-1': bytes }), silent);
    expect(take([live({ seq: 4, missed: 2 })]).refused).toHaveLength(1);
    expect(take([live({ boot: NEW, seq: 1 })]).stored).toBe(1);
    expect(take([live({ seq: 5 })]).refused).toMatchObject([{ refusal: { reason: 'conflict' } }]);
  });

  test('memory of a site is bounded', () => {
    take(Array.from({ length: 500 }, (_, i) => live({ seq: i + 1 })));
    expect(memory.of('jp-tokyo-1').recent.size).toBe(32);
    expect(memory.size).toBe(1);
  });
});

describe('live state', () => {
  test('follows the newest live report and never an older one', () => {
    const { states, stored } = take([live({ seq: 5 }), live({ seq: 3 })]);
    expect(stored).toBe(2);
    expect(states.get('jp-tokyo-1')?.seq).toBe(5);
    expect(take([live({ seq: 4 })]).states.size).toBe(0);
    expect(take([live({ boot: NEW, seq: 1 })]).states.get('jp-tokyo-1')?.boot).toBe(NEW);
  });

  test('is not moved by backfill, which tells no events either', () => {
    take([live({ seq: 1 })]);
    const down = [link({ up: false })];
    const { states, events, stored } = take([held({ seq: 9, links: down })]);
    expect([stored, states.size, events.length]).toEqual([1, 0, 0]);
    expect(stateOf()?.seq).toBe(1);
  });

  test('gives way to what another aggregator has published meanwhile', () => {
    const view = viewOf();
    memory = createMemory(view, silent);
    take([live({ seq: 1 })]);
    const mine = stateOf();
    view.put('jp-tokyo-1', Buffer.from(JSON.stringify({ ...mine, seq: 50 })));
    expect(take([live({ seq: 20 })]).states.size).toBe(0);
    expect(stateOf()?.seq).toBe(50);
  });

  test('is told once when its colour changes, with the reason', () => {
    const down = [link({ name: 'hub', protocol: 'hub' }), link({ up: false })];
    take([live({ seq: 1 })]);
    const { events } = take([live({ seq: 2, links: down }), live({ seq: 3, links: down })]);
    expect(events).toMatchObject([
      { id: `site.state/jp-tokyo-1/${OLD}/2`, kind: 'site.state', severity: 'critical' },
    ]);
    expect(events[0]?.message).toBe('healthy to failing, score 39 (all links are down)');
    expect(take([live({ seq: 4 })]).events).toMatchObject([{ kind: 'site.state', severity: 'info' }]);
  });

  test('tells once that a clock is off', () => {
    const kinds = (seq: number, clockOffsetMs: number | null) =>
      take([live({ seq, clockOffsetMs })]).events.map((event) => event.kind);
    expect(kinds(1, 5000)).toEqual([]);
    expect(kinds(2, -5001)).toEqual(['site.clock']);
    expect(kinds(3, -9000)).toEqual([]);
    expect(kinds(4, null)).toEqual([]);
    expect(kinds(5, 6000)).toEqual(['site.clock']);
  });
});

describe('gaps', () => {
  const range = { boot: OLD, from: 10, to: 19 };

  test('are written and told once while the site repeats them, and again when they grow', () => {
    const gapsOf = (seq: number, to: number) => {
      const { gaps, events } = take([live({ seq, dropped: [{ ...range, to }] })]);
      return [gaps.length, events.length];
    };
    expect([gapsOf(30, 19), gapsOf(31, 19), gapsOf(32, 25)]).toEqual([
      [1, 1],
      [0, 0],
      [1, 1],
    ]);
  });

  test('from backfill are written and not told', () => {
    const { gaps, events } = take([held({ seq: 30, dropped: [range] })]);
    expect(gaps).toMatchObject([{ site: 'jp-tokyo-1', boot: OLD, from_seq: 10, to_seq: 19 }]);
    expect(events).toEqual([]);
  });
});

describe('minutes', () => {
  const ts = report().ts;
  const closedMs = minuteOf(ts) + 75_000;

  test('whose rows are durable only after they closed are marked, once a batch', async () => {
    const marks = async (storedAtMs: number) => {
      let nowMs = ts;
      const marked: unknown[] = [];
      const store: Store = {
        start: async () => {},
        stop: async () => {},
        derive: async () => {},
        query: async () => [],
        async insert(table, rows) {
          if (table === 'report') nowMs = storedAtMs;
          if (table === 'dirty_minute') marked.push(...rows);
        },
      };
      const outcome = take([live({ seq: 1 }), live({ seq: 2 })]);
      await insertRows(outcome, store, { nowMs: () => nowMs, monoMs: () => 0 });
      return marked;
    };
    expect(await marks(closedMs)).toEqual([]);
    expect(await marks(closedMs + 1)).toEqual([{ minute: minuteOf(ts), marked_at: closedMs + 1 }]);
  });
});

describe('refused records', () => {
  test('disturb nobody else, and are told once a site, reason and minute', () => {
    const bad = live({ seq: 2 }, { value: Buffer.alloc(10), appendedAtMs: report().ts });
    const { refused, reports, events } = take([live({ seq: 1 }), bad, bad, live({ seq: 3 })]);
    expect([reports.length, refused.length]).toEqual([2, 2]);
    expect(events).toMatchObject([{ kind: 'report.quarantined', at: minuteOf(report().ts) }]);
  });

  test('add up with the stored and repeated ones', () => {
    const records = [
      live({ seq: 1 }),
      live({ seq: 1 }),
      live({ seq: 1, missed: 2 }),
      live({ site: 'nobody' }),
    ];
    const { stored, repeated, refused } = take(records);
    expect(stored + repeated + refused.length).toBe(records.length);
  });
});

test('reading the same records again gives the same rows, however they are cut', () => {
  const records = [1, 2, 3, 4, 5, 6].map((seq) =>
    live({ seq, links: [link({ up: seq % 2 === 0 })], probes: [{ name: 'host', ok: seq !== 2, lost: 0 }] }),
  );
  const rows = (cuts: LogRecord[][]) => {
    memory = createMemory(viewOf(), silent);
    return cuts
      .map((cut) => take(cut))
      .flatMap(({ reports, events }) => [...reports, ...events])
      .map(byText)
      .sort();
  };
  const byText = (row: object) => JSON.stringify(row);
  const whole = rows([records]);
  expect(rows([records.slice(0, 2), records.slice(2)])).toEqual(whole);
  expect(new Set(rows([records.slice(0, 4), records.slice(2)]))).toEqual(new Set(whole));
});

test('a row has the figures of its report within the bounds of its columns', () => {
  const { host } = report();
  if (host === undefined) throw new Error('the sample report has a host');
  const extreme = live({
    clockOffsetMs: -1e15,
    host: { ...host, uptimeS: 1e300 },
    links: [link({ latency: { p50Ms: -5, p90Ms: 1e300, p99Ms: 44.3 } })],
  });
  const [row] = take([extreme]).reports;
  expect(row).toMatchObject({
    clock_offset_ms: -0x7fff_ffff,
    uptime_s: 0xffff_ffff,
    link_p50_us: [0],
    link_p90_us: [0xffff_ffff],
    link_p99_us: [44_300],
    cpu_bp: 3100,
    lane: 'live',
  });
});
