import { type Clock, systemClock } from '../../core/ports/clock.ts';
import type { Log } from '../../core/ports/log.ts';
import type { Logger } from '../../core/ports/logger.ts';
import type { Table } from '../../core/ports/table.ts';
import { LogFile } from './file.ts';
import { SqliteLog } from './log.ts';
import { SqliteTable } from './table.ts';

/**
 * A log and a table in one file of `dir`, for one process. Nothing is opened before one of them is started; the file is
 * closed when both are stopped. `retentionBytes` bounds what reports and backfill hold together.
 */
export function openSqlite(options: {
  dir: string;
  partitions: number;
  retentionMs: number;
  retentionBytes: number;
  logger: Logger;
  clock?: Clock;
}): { log: Log; table: Table } {
  const clock = options.clock ?? systemClock;
  const { dir, partitions, retentionMs, retentionBytes, logger } = options;
  const file = new LogFile({ dir, partitions, clock, logger });
  return {
    log: new SqliteLog({ file, retentionMs, retentionBytes, clock, logger }),
    table: new SqliteTable(file),
  };
}
