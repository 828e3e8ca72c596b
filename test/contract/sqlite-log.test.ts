import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openSqlite } from '../../adapters/sqlite/open.ts';
import { logContract } from './log.contract.ts';
import { silentLogger } from './silent-logger.ts';

const RETENTION_MS = 3_600_000;

logContract('SQLite', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'plumbline-log-'));
  let aheadMs = 0;
  const clock = { nowMs: () => Date.now() + aheadMs, monoMs: () => performance.now() };
  const { log } = openSqlite({
    dir,
    partitions: 4,
    retentionMs: RETENTION_MS,
    retentionBytes: 1e9,
    logger: silentLogger,
    clock,
  });
  await log.start();
  return {
    log,
    partitions: 4,
    keepsUnread: true,
    expire: async () => {
      aheadMs += RETENTION_MS + 1;
      await log.retain();
      aheadMs = 0;
    },
    close: async () => {
      await log.stop();
      await rm(dir, { recursive: true });
    },
  };
});
