import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Store } from '../../core/ports/store.ts';

/** What recompute.py reads: the reports as they came, and what the store says of them. */
const EXPORTS: Readonly<Record<string, string>> = {
  report: 'SELECT site, boot, seq, score, shown, payload FROM plumbline.report FINAL',
  site_minute: `SELECT site, toInt64(toUnixTimestamp(minute)) * 1000 AS minute_ms, reports, score, score_min, cpu, cpu_max,
    memory, memory_max FROM plumbline.site_minute`,
  links_total: `SELECT site, link, toInt64(toUnixTimestamp(minute)) * 1000 AS minute_ms, epoch, requests_total AS requests,
    losses_total AS losses, errors_total AS errors, up_min FROM plumbline.links_minute`,
  boot_ledger: 'SELECT site, boot, stored, seq_max FROM plumbline.boot_ledger',
  virtual_site_minute: `SELECT toInt64(toUnixTimestamp(minute)) * 1000 AS minute_ms, members, green, orange, red, unknown,
    score_min FROM plumbline.virtual_site_minute`,
  site_current: 'SELECT site, boot, seq, score FROM plumbline.site_current',
};

/** One file of JSON lines an export, in `dir`. */
export async function exportTables(store: Store, dir: string): Promise<void> {
  for (const [name, sql] of Object.entries(EXPORTS)) {
    const rows = await store.query(sql);
    writeFileSync(join(dir, `${name}.jsonl`), rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
  }
}
