import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openSqlite } from '../../adapters/sqlite/open.ts';
import { silentLogger } from './silent-logger.ts';
import { tableContract } from './table.contract.ts';

tableContract('SQLite', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'plumbline-table-'));
  const open = async () => {
    const settings = { partitions: 4, retentionMs: 1e9, retentionBytes: 1e9, logger: silentLogger };
    const { table } = openSqlite({ dir, ...settings });
    await table.start();
    return table;
  };
  let table = await open();
  return {
    table,
    reopen: async () => {
      await table.stop();
      table = await open();
      return table;
    },
    close: async () => {
      await table.stop();
      await rm(dir, { recursive: true });
    },
  };
});
