import { execFileSync } from 'node:child_process';
import { globSync, statfsSync } from 'node:fs';
import { dirname } from 'node:path';
import { expect, test } from 'vitest';
import { withStore } from '../../contract/store-embedded.ts';
import { reportRow, START_MS } from '../../contract/store-rows.ts';

const EXT4 = 0xef53;

test('parts of every table lie apart where the file system can do that, and the store starts where it can not', async () => {
  await withStore(async (store, path) => {
    await store.insert('report', [reportRow({ site: 'a', seq: 1, tsMs: START_MS })]);
    const parts = globSync(`${path}/**/checksums.txt`).map((file) => dirname(file));
    const tables = [...new Set(parts.map((part) => dirname(part)))];
    // The report, what three views made of it, and the schema's version.
    expect(tables).toHaveLength(5);
    if (statfsSync(path).type !== EXT4) return;
    const attributes = execFileSync('lsattr', ['-d', ...tables], { encoding: 'utf8' })
      .trim()
      .split('\n');
    for (const line of attributes) expect(line).toMatch(/^\S*T/);
  });
});
