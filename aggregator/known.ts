import { compareBoots } from '../core/account.ts';
import type { Store } from '../core/ports/store.ts';
import type { Authentic } from './authenticate.ts';
import type { Memory, SiteMemory } from './memory.ts';

/** Hashes of identities that the store has or that this batch has accepted, beyond what memory covers. */
export type Known = Map<string, string>;

/** So many identities a question, to stay under the length that a query's parameters may have. */
const PER_QUESTION = 1000;

export function identityOf(site: string, boot: string, seq: number): string {
  return `${site}/${boot}/${seq}`;
}

/**
 * Whether memory alone can tell if an identity was accepted before. It can for what it remembers and for what comes after
 * it; not for anything older, another boot's, or a site's first report since memory began.
 */
export function isCovered(memory: SiteMemory, boot: string, seq: number): boolean {
  if (memory.newest < 0) return false;
  if (memory.boot === boot) return seq > memory.newest || memory.recent.has(seq);
  return compareBoots(boot, memory.boot) > 0;
}

/** Asks the store for the identities that memory does not cover; usually none, and then nothing is asked. */
export async function lookUp(store: Store, memory: Memory, reports: readonly Authentic[]): Promise<Known> {
  const asked = reports.filter(({ report }) => !isCovered(memory.of(report.site), report.boot, report.seq));
  const known: Known = new Map();
  for (let from = 0; from < asked.length; from += PER_QUESTION) {
    const some = asked.slice(from, from + PER_QUESTION).map(({ report }) => report);
    const rows = await store.query<{ site: string; boot: string; number: string; payload_hash: string }>(
      `SELECT DISTINCT site, boot, toString(seq) AS number, payload_hash FROM plumbline.report
       WHERE (site, boot, seq) IN (
         SELECT arrayJoin(arrayZip({sites:Array(String)}, {boots:Array(String)}, {seqs:Array(UInt64)})))`,
      {
        sites: some.map(({ site }) => site),
        boots: some.map(({ boot }) => boot),
        seqs: some.map(({ seq }) => seq),
      },
    );
    for (const row of rows) known.set(identityOf(row.site, row.boot, Number(row.number)), row.payload_hash);
  }
  return known;
}
