import { compareBoots } from '../core/account.ts';
import type { Store } from '../core/ports/store.ts';
import type { Authentic } from './authenticate.ts';
import type { Memory, SiteMemory } from './memory.ts';

/** What is known for one batch, beyond what memory covers: what the store has of it, and all that the batch has accepted so far. */
export type Known = {
  /** Hashes by identity. */
  hashes: Map<string, string>;
  /** The largest number by boot, -1 where there is none; asked for where a memory of that boot may begin. */
  newest: Map<string, number>;
};

/** So many identities a question, to stay under the length that a query's parameters may have. */
const PER_QUESTION = 1000;

export function nothingKnown(): Known {
  return { hashes: new Map(), newest: new Map() };
}

export function identityOf(site: string, boot: string, seq: number): string {
  return `${site}/${boot}/${seq}`;
}

export function bootOf(site: string, boot: string): string {
  return `${site}/${boot}`;
}

/**
 * Whether memory tells that an identity was never accepted before: its number is above all that memory or the store has of
 * this boot. Nothing is before the store was asked how far it is: held reports, and what was stored before a kill, may be
 * ahead of the live ones.
 */
function isNew(memory: SiteMemory, boot: string, seq: number): boolean {
  return memory.newest !== null && memory.boot === boot && seq > memory.newest;
}

/**
 * Asks the store for what neither memory nor the batch so far can tell, and adds it to `known`; usually that is nothing,
 * and then nothing is asked.
 */
export async function lookUp(
  store: Store,
  memory: Memory,
  reports: readonly Authentic[],
  known: Known,
): Promise<void> {
  const identities: Identity[] = [];
  const boots = new Map<string, Identity>();
  for (const { report } of reports) {
    const { site, boot, seq } = report;
    const remembered = memory.of(site);
    const isBegun = known.newest.size === 0 || !known.newest.has(bootOf(site, boot));
    // Where memory began in this very batch, all is asked for: a kill in the midst of an insert may have left reports in the
    // store that its ledger has not, and they come again first.
    if (isBegun && isNew(remembered, boot, seq)) continue;
    const identity = identityOf(site, boot, seq);
    const recent = remembered.boot === boot ? remembered.recent.get(seq) : undefined;
    // Noted here, because memory may have forgotten it by the time this piece comes to it.
    if (recent !== undefined) known.hashes.set(identity, recent);
    else if (!known.hashes.has(identity)) identities.push({ site, boot, seq });
    const key = bootOf(site, boot);
    if (mayBegin(remembered, boot) && !known.newest.has(key)) boots.set(key, { site, boot, seq });
  }
  await Promise.all([askHashes(store, identities, known), askNewest(store, boots, known)]);
}

type Identity = { site: string; boot: string; seq: number };

function mayBegin(memory: SiteMemory, boot: string): boolean {
  if (memory.boot === boot) return memory.newest === null;
  return memory.boot === '' || compareBoots(boot, memory.boot) > 0;
}

async function askHashes(store: Store, identities: readonly Identity[], { hashes }: Known): Promise<void> {
  for (let from = 0; from < identities.length; from += PER_QUESTION) {
    const some = identities.slice(from, from + PER_QUESTION);
    const rows = await store.query<{ site: string; boot: string; number: string; payload_hash: string }>(
      `SELECT DISTINCT site, boot, toString(seq) AS number, payload_hash FROM plumbline.report
       WHERE (site, boot, seq) IN (
         SELECT arrayJoin(arrayZip({sites:Array(String)}, {boots:Array(String)}, {seqs:Array(UInt64)})))`,
      { ...parametersOf(some), seqs: some.map(({ seq }) => seq) },
    );
    for (const row of rows) hashes.set(identityOf(row.site, row.boot, Number(row.number)), row.payload_hash);
  }
}

/** By the ledger, which has a row a day of each boot where table `report` has thousands. */
async function askNewest(
  store: Store,
  boots: ReadonlyMap<string, Identity>,
  { newest }: Known,
): Promise<void> {
  const keys = [...boots.keys()];
  const asked = [...boots.values()];
  for (let from = 0; from < asked.length; from += PER_QUESTION) {
    const rows = await store.query<{ site: string; boot: string; number: string }>(
      `SELECT site, boot, toString(max(newest.seq)) AS number FROM plumbline.boot_ledger_agg
       WHERE (site, boot) IN (SELECT arrayJoin(arrayZip({sites:Array(String)}, {boots:Array(String)})))
       GROUP BY site, boot`,
      parametersOf(asked.slice(from, from + PER_QUESTION)),
    );
    for (const key of keys.slice(from, from + PER_QUESTION)) newest.set(key, -1);
    for (const row of rows) newest.set(bootOf(row.site, row.boot), Number(row.number));
  }
}

function parametersOf(some: readonly Identity[]): { sites: string[]; boots: string[] } {
  return { sites: some.map(({ site }) => site), boots: some.map(({ boot }) => boot) };
}
