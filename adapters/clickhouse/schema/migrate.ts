import type { ClickHouseClient } from '@clickhouse/client';
import { StoreError } from '../../../core/ports/store.ts';
import { BOOT_LEDGER } from './boot-ledger.ts';
import { DATABASE } from './database.ts';
import { LINKS_MINUTE } from './links-minute.ts';
import { ROLLUPS } from './rollups.ts';
import { SITE_MINUTE } from './site-minute.ts';
import { POLICY_STATEMENTS, TABLE_STATEMENTS } from './tables.ts';
import { VIEW_STATEMENTS } from './views.ts';

/*
 * How the schema comes to be what this code expects. A step is a list of statements that may run again without harm, for a
 * process killed half-way runs them again; its number is recorded once all of them are done. A change of the schema is a
 * new step at the end, never an edit of an old one.
 */
const STEPS: readonly (readonly string[])[] = [
  [...TABLE_STATEMENTS, ...SITE_MINUTE, ...LINKS_MINUTE, ...BOOT_LEDGER, ...ROLLUPS],
  POLICY_STATEMENTS,
];

/** Brings the schema up to date and says its version. A schema newer than this code is refused: it may mean other things. */
export async function migrate(client: ClickHouseClient): Promise<number> {
  await client.command({
    query: `CREATE TABLE IF NOT EXISTS ${DATABASE}.schema_version (
      version UInt32, applied_at DateTime64(3, 'UTC') DEFAULT now64(3)
    ) ENGINE = ReplacingMergeTree ORDER BY version`,
  });
  const found = await client.query({
    query: `SELECT max(version) AS version FROM ${DATABASE}.schema_version`,
    format: 'JSONEachRow',
  });
  const [row] = await found.json<{ version: number }>();
  const version = row?.version ?? 0;
  if (version > STEPS.length)
    throw new StoreError(
      'rejected',
      `the store has schema version ${version}, made by a newer Plumbline; this one knows ${STEPS.length}: use the newer one`,
    );
  for (const [index, statements] of STEPS.entries()) {
    if (index < version) continue;
    for (const query of statements) await client.command({ query });
    await client.command({
      query: `INSERT INTO ${DATABASE}.schema_version (version) SELECT ${index + 1}`,
    });
  }
  // Views hold nothing, so they are simply made anew and follow the code.
  for (const query of VIEW_STATEMENTS) await client.command({ query });
  return STEPS.length;
}
