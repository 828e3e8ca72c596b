import type { HandedOver, Issuer } from '../../core/model/resource.ts';
import type { Ledger } from '../../core/model/view.ts';
import type { Store } from '../../core/ports/store.ts';
import { type BootRecord, type Held, placed, reconcile } from './ledger.ts';
import type { Range } from './ranges.ts';

/** When the hub was restored last; absent when it never was. */
type Restored = Pick<Issuer['spec'], 'restoredAtMs' | 'handedOver'>;
type BootRow = {
  site: string;
  boot: string;
  stored: number;
  seq_max: number;
  prev_boot: string;
  prev_seq: number;
  held_boot: string;
  held_seq: number;
  began_ms: number;
  ended_ms: number;
};
type CutRow = { site: string; boot: string; seq: number };
type NumberRow = { site: string; boot: string; from_seq: number; to_seq: number };
type SeqsRow = { site: string; boot: string; seqs: number[]; last_authentic: number };
type RangesRow = { site: string; boot: string; ranges: [number, number][] };

/** Boots in the order they happened: by when their first report was made, since a site may have begun its count anew. */
const BOOTS = `
  SELECT site, boot, toUInt64(stored) AS stored, seq_max, prev_boot, prev_seq, held_boot, held_seq,
    toUnixTimestamp64Milli(ts_min) AS began_ms, toUnixTimestamp64Milli(ts_max) AS ended_ms
  FROM plumbline.boot_ledger WHERE empty({sites:Array(String)}) OR has({sites:Array(String)}, site)
  ORDER BY site, ts_min, boot`;
const GAPS = `
  SELECT site, boot, from_seq, max(to_seq) AS to_seq
  FROM plumbline.gap WHERE empty({sites:Array(String)}) OR has({sites:Array(String)}, site) GROUP BY site, boot, from_seq`;
/**
 * What a refused record says it is accounts for that number. Only where the MAC was right does it also prove that there
 * was one; and one that speaks for another site (`identity`) says nothing about this one.
 */
const QUARANTINED = `
  SELECT site, boot, groupUniqArray(seq) AS seqs, maxIf(seq, reason IN ('clock', 'conflict', 'unstorable')) AS last_authentic
  FROM plumbline.quarantine
  WHERE boot != '' AND seq > 0 AND reason != 'identity'
    AND (empty({sites:Array(String)}) OR has({sites:Array(String)}, site))
  GROUP BY site, boot`;
const STORED = `
  SELECT site, boot, ranges FROM plumbline.stored_ranges
  WHERE site IN {sites:Array(String)} AND boot IN {boots:Array(String)}`;
/** The first number of a boot that was used after a moment, to the minute; minutes are kept 30 days. */
const CUTS = `
  SELECT site, boot, toUInt64(min(seq)) AS seq FROM plumbline.site_minute
  WHERE minute >= toStartOfMinute(fromUnixTimestamp64Milli({at:Int64}, 'UTC')) AND has({sites:Array(String)}, site)
  GROUP BY site, boot`;
/** Boots whose stored ranges are asked for at once. */
const BATCH = 100;

type Known = {
  last: number;
  count: number;
  beganMs: number;
  endedMs: number;
  stored: Range[];
  quarantined: Range[];
  dropped: Range[];
};
/** The first `timed` boots are in the order they happened; of the others only gaps or refused records tell. */
type SiteRecord = { boots: Map<string, Known>; timed: number; held: Held | null };

/**
 * The ledgers of these sites, or of all that ever reported when none is named. What is missing from before the hub was
 * restored from a backup counts as lost by that.
 */
export async function readLedgers(
  store: Store,
  sites: readonly string[],
  restored: Restored,
): Promise<Map<string, Ledger>> {
  const [boots, gaps, quarantined] = await Promise.all([
    store.query<BootRow>(BOOTS, { sites }),
    store.query<NumberRow>(GAPS, { sites }),
    store.query<SeqsRow>(QUARANTINED, { sites }),
  ]);
  const records = new Map<string, SiteRecord>();
  for (const row of boots) addBoot(recordOf(records, row.site), row);
  for (const { site, boot, from_seq, to_seq } of gaps) {
    const known = knownOf(recordOf(records, site), boot);
    known.dropped.push({ from: from_seq, to: to_seq });
    known.last = Math.max(known.last, to_seq);
  }
  for (const { site, boot, seqs, last_authentic } of quarantined) {
    const record = recordOf(records, site);
    if (last_authentic === 0 && !record.boots.has(boot)) continue;
    const known = knownOf(record, boot);
    for (const seq of seqs) known.quarantined.push({ from: seq, to: seq });
    known.last = Math.max(known.last, last_authentic);
  }
  await readStored(store, records);
  const ledgers = new Map<string, Ledger>();
  const books = [...records].map(([site, record]) => ({ site, boots: bootsOf(record), held: record.held }));
  for (const { site, boots: known, held } of books) ledgers.set(site, reconcile(site, known, held));
  const { restoredAtMs, handedOver = {} } = restored;
  if (restoredAtMs === undefined) return ledgers;
  const short = books.filter(({ site }) => (ledgers.get(site)?.missing ?? 0) > 0);
  const cuts = await readCuts(
    store,
    short.map(({ site }) => site),
    restoredAtMs,
  );
  for (const { site, boots: known, held } of short) {
    const noted = handedOver[site];
    const cutOf = (boot: string) => (noted?.boot === boot ? noted.seq : cuts.get(site)?.get(boot));
    ledgers.set(site, reconcile(site, withLosses(known, cutOf, restoredAtMs), held));
  }
  return ledgers;
}

/** The newest boot of each of these sites, and the first number of it that was not heard of. */
export async function readHandedOver(store: Store, sites: readonly string[]): Promise<HandedOver> {
  const boots = await store.query<BootRow>(BOOTS, { sites });
  return Object.fromEntries(boots.map(({ site, boot, seq_max }) => [site, { boot, seq: seq_max + 1 }]));
}

type Boot = BootRecord & { beganMs: number; endedMs: number };

function bootsOf({ boots, timed }: SiteRecord): Boot[] {
  const all = [...boots].map(([boot, record]) => ({ boot, ...record, lostBelow: 0 }));
  return placed(all.slice(0, timed), all.slice(timed));
}

/** Per site and boot. */
async function readCuts(store: Store, sites: readonly string[], atMs: number) {
  const cuts = new Map<string, Map<string, number>>();
  if (sites.length === 0) return cuts;
  for (const { site, boot, seq } of await store.query<CutRow>(CUTS, { sites, at: atMs }, 'replay')) {
    const ofSite = cuts.get(site) ?? new Map<string, number>();
    cuts.set(site, ofSite.set(boot, seq));
  }
  return cuts;
}

/**
 * A boot lost all that it lacks when it ended before the restore. One that went on lost what it lacks of what was noted at the
 * restore; where nothing was, of what it sent before the first report of a later minute, which is known for 30 days. One
 * that was heard only afterwards lost what it lacks of what came before that.
 */
function withLosses(
  boots: readonly Boot[],
  cutOf: (boot: string) => number | undefined,
  restoredAtMs: number,
): Boot[] {
  let isBefore = true;
  return boots.map((boot) => {
    if (!isBefore) return boot;
    isBefore = boot.endedMs < restoredAtMs;
    if (isBefore) return { ...boot, lostBelow: Number.POSITIVE_INFINITY };
    const cut = boot.beganMs >= restoredAtMs ? boot.stored[0]?.from : cutOf(boot.boot);
    return { ...boot, lostBelow: cut ?? Number.POSITIVE_INFINITY };
  });
}

function addBoot(record: SiteRecord, row: BootRow): void {
  // The boot that holds the oldest report is known by that, also when nothing of it ever came.
  const oldest = knownOf(record, row.held_boot);
  oldest.last = Math.max(oldest.last, row.held_seq);
  // The boot before is known by its successor's word, even when nothing of it ever came.
  if (row.prev_boot !== '') {
    const before = knownOf(record, row.prev_boot);
    before.last = Math.max(before.last, row.prev_seq);
  }
  const known = knownOf(record, row.boot);
  known.count = row.stored;
  known.beganMs = row.began_ms;
  known.endedMs = row.ended_ms;
  known.last = Math.max(known.last, row.seq_max);
  record.timed = record.boots.size;
  record.held = { boot: row.held_boot, seq: row.held_seq };
}

/** Which numbers are stored needs asking only where not all are. */
async function readStored(store: Store, records: ReadonlyMap<string, SiteRecord>): Promise<void> {
  const open: { site: string; boot: string }[] = [];
  for (const [site, { boots }] of records)
    for (const [boot, known] of boots)
      if (known.count === known.last) known.stored.push({ from: 1, to: known.last });
      else if (known.count > 0) open.push({ site, boot });
  for (let i = 0; i < open.length; i += BATCH) {
    const batch = open.slice(i, i + BATCH);
    const sites = [...new Set(batch.map(({ site }) => site))];
    const boots = [...new Set(batch.map(({ boot }) => boot))];
    for (const { site, boot, ranges } of await store.query<RangesRow>(STORED, { sites, boots }, 'replay')) {
      const known = records.get(site)?.boots.get(boot);
      if (known !== undefined) known.stored = ranges.map(([from, to]) => ({ from, to }));
    }
  }
}

function recordOf(records: Map<string, SiteRecord>, site: string): SiteRecord {
  const known = records.get(site) ?? { boots: new Map(), timed: 0, held: null };
  records.set(site, known);
  return known;
}

function knownOf({ boots }: SiteRecord, boot: string): Known {
  const known = boots.get(boot) ?? {
    last: 0,
    count: 0,
    beganMs: 0,
    endedMs: 0,
    stored: [],
    quarantined: [],
    dropped: [],
  };
  boots.set(boot, known);
  return known;
}
