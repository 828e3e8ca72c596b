import { Compile } from 'typebox/compile';
import { isNewer } from '../core/account.ts';
import { type Position, Report } from '../core/model/report.ts';
import type { SiteState } from '../core/model/site-state.ts';
import type { Store } from '../core/ports/store.ts';
import type { Table } from '../core/ports/table.ts';
import { nextState } from '../core/score/next-state.ts';
import { scoreReport } from '../core/score/score.ts';
import type { Weights } from '../core/score/weights.ts';
import type { Memory } from './memory.ts';

const reportShape = Compile(Report);

/** Younger reports are on their way to their state still, here or at another aggregator. */
const SETTLED_AFTER_MS = 30_000;
/** With their payloads, which may have 256 kB each. */
const PER_QUESTION = 100;

type NewestRow = Position & { site: string; received_at_ms: number };
type PayloadRow = { payload_hash: string; received_at_ms: number; payload: string };

/**
 * A kill between the commit of a batch and the publishing of its states leaves them behind the store until the sites report
 * again, and those that never do for good: publishes them anew. Only where the newest report came live, as nearly all do.
 */
export async function mendStates(
  { store, table, memory, weights }: { store: Store; table: Table; memory: Memory; weights: Weights },
  nowMs: number,
): Promise<string[]> {
  const newest = await store.query<NewestRow>(
    `SELECT site, boot, seq, toUnixTimestamp64Milli(received_at) AS received_at_ms
     FROM plumbline.site_current WHERE received_at < fromUnixTimestamp64Milli({settled:Int64})`,
    { settled: nowMs - SETTLED_AFTER_MS },
  );
  const behind = newest.filter((row) => isAfter(row, row.received_at_ms, memory.published(row.site)));
  const mended: string[] = [];
  for (let from = 0; from < behind.length; from += PER_QUESTION) {
    const some = behind.slice(from, from + PER_QUESTION);
    const rows = await store.query<PayloadRow>(
      `SELECT payload_hash, toUnixTimestamp64Milli(received_at) AS received_at_ms, payload FROM plumbline.report FINAL
       WHERE lane = 'live' AND (site, boot, seq) IN (
         SELECT arrayJoin(arrayZip({sites:Array(String)}, {boots:Array(String)}, {seqs:Array(UInt64)})))`,
      {
        sites: some.map(({ site }) => site),
        boots: some.map(({ boot }) => boot),
        seqs: some.map(({ seq }) => seq),
      },
    );
    const entries = rows.flatMap(({ payload, payload_hash: payloadHash, received_at_ms: receivedAtMs }) => {
      const said: unknown = JSON.parse(payload);
      if (!reportShape.Check(said)) return [];
      const state = memory.published(said.site);
      if (!isAfter(said, receivedAtMs, state)) return [];
      const next = nextState(state, said, { receivedAtMs, payloadHash }, scoreReport(said, weights));
      return [{ key: said.site, value: Buffer.from(JSON.stringify(next)) }];
    });
    if (entries.length > 0) await table.write('state', entries);
    mended.push(...entries.map(({ key }) => key));
  }
  return mended;
}

/** By time too: a site that was removed and added again may count its boots from one, and its former life stays what it was. */
function isAfter(position: Position, receivedAtMs: number, state: SiteState | null): boolean {
  return state !== null && receivedAtMs > state.receivedAtMs && isNewer(position, state);
}
