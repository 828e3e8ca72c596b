import { DatabaseSync, type SQLOutputValue } from 'node:sqlite';
import { TOPICS } from '../../core/ports/log.ts';
import type { Place, Span } from './protocol.ts';

/*
 * The file. One table a topic, in order of arrival, so that appending writes at its end and retention frees its
 * beginning; an index finds a partition's records. `EXCLUSIVE` locking is what keeps a second process out: the system
 * gives the lock back however the process ends.
 */

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, number INTEGER NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS span (
    topic TEXT NOT NULL, partition INTEGER NOT NULL, low INTEGER NOT NULL, next INTEGER NOT NULL,
    last_ms INTEGER NOT NULL, bytes INTEGER NOT NULL, PRIMARY KEY (topic, partition)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS position (
    grp TEXT NOT NULL, topic TEXT NOT NULL, partition INTEGER NOT NULL, offset INTEGER NOT NULL,
    PRIMARY KEY (grp, topic, partition)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS entry (
    tbl TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, PRIMARY KEY (tbl, key)
  ) STRICT;
  CREATE TABLE IF NOT EXISTS owner (role TEXT PRIMARY KEY, epoch INTEGER NOT NULL) STRICT;
${TOPICS.map(
  (topic) => `
  CREATE TABLE IF NOT EXISTS log_${topic} (
    id INTEGER PRIMARY KEY, partition INTEGER NOT NULL, offset INTEGER NOT NULL, at_ms INTEGER NOT NULL,
    key TEXT NOT NULL, value BLOB NOT NULL
  ) STRICT;
  CREATE UNIQUE INDEX IF NOT EXISTS log_${topic}_place ON log_${topic} (partition, offset);`,
).join('')}
`;

export function openDatabase(
  path: string,
): { ok: true; database: DatabaseSync } | { ok: false; reason: string } {
  const database = new DatabaseSync(path, { timeout: 300 });
  try {
    database.exec('PRAGMA page_size = 8192; PRAGMA locking_mode = EXCLUSIVE');
    database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -32768');
    database.exec(`BEGIN IMMEDIATE; ${SCHEMA} COMMIT;`);
    return { ok: true, database };
  } catch (error) {
    database.close();
    if (isBusy(error)) return { ok: false, reason: 'another process has it open' };
    throw error;
  }
}

function isBusy(error: unknown): boolean {
  const SQLITE_BUSY = 5;
  return error instanceof Error && 'errcode' in error && error.errcode === SQLITE_BUSY;
}

/** The number of partitions is fixed when the file is made, since a key must stay in its partition. */
export function ensureSpans(database: DatabaseSync, wanted: number): Span[] {
  database.prepare("INSERT OR IGNORE INTO meta VALUES ('partitions', ?)").run(wanted);
  const partitions = integer(
    database.prepare("SELECT number FROM meta WHERE name = 'partitions'").get()?.number,
  );
  const insert = database.prepare('INSERT OR IGNORE INTO span VALUES (?, ?, 0, 0, 0, 0)');
  for (const topic of TOPICS) for (let p = 0; p < partitions; p++) insert.run(topic, p);
  const spans: Span[] = [];
  for (const topic of TOPICS) {
    const rows = database
      .prepare('SELECT partition, low, next, bytes FROM span WHERE topic = ? ORDER BY 1')
      .all(topic);
    for (const row of rows) {
      spans.push({
        topic,
        partition: integer(row.partition),
        low: integer(row.low),
        next: integer(row.next),
        bytes: integer(row.bytes),
      });
    }
  }
  return spans;
}

export function positionsOf(database: DatabaseSync, group: string): Place[] {
  const query = database.prepare('SELECT partition, offset FROM position WHERE grp = ? AND topic = ?');
  return TOPICS.flatMap((topic) =>
    query
      .all(group, topic)
      .map((row) => ({ topic, partition: integer(row.partition), offset: integer(row.offset) })),
  );
}

export function integer(value: SQLOutputValue | undefined): number {
  if (typeof value !== 'number')
    throw new TypeError('the log file has something else where an integer belongs');
  return value;
}

export function text(value: SQLOutputValue | undefined): string {
  if (typeof value !== 'string') throw new TypeError('the log file has something else where a text belongs');
  return value;
}

export function blob(value: SQLOutputValue | undefined): Uint8Array {
  if (!(value instanceof Uint8Array)) {
    throw new TypeError('the log file has something else where a blob belongs');
  }
  return value;
}
