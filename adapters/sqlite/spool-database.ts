import { chmodSync, existsSync, renameSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import type { DroppedRange, Position } from '../../core/model/report.ts';
import { SpoolError } from '../../core/ports/spool.ts';

/** SQLite's primary result codes, https://sqlite.org/rescode.html */
const CODE = { busy: 5, corrupt: 11, full: 13, notADatabase: 26 } as const;

/*
 * Rollback journal in PERSIST mode rather than WAL: its file stays, and so do the pages that a deletion frees, so that
 * on a disk that others filled the spool goes on in the room it already has. EXCLUSIVE keeps the lock until the process
 * ends, however it ends, which makes a second collector on the same spool an error instead of a mess.
 */
const SCHEMA = `
  PRAGMA locking_mode = EXCLUSIVE;
  PRAGMA journal_mode = PERSIST;
  PRAGMA synchronous = FULL;
  PRAGMA cache_size = -1024;
  BEGIN EXCLUSIVE;
  CREATE TABLE IF NOT EXISTS boots (boot TEXT PRIMARY KEY, last_seq INTEGER NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS reports (
    boot TEXT NOT NULL, seq INTEGER NOT NULL, made_at_ms INTEGER NOT NULL, sealed BLOB NOT NULL,
    PRIMARY KEY (boot, seq)
  ) STRICT;
  CREATE TABLE IF NOT EXISTS dropped (
    boot TEXT NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL, PRIMARY KEY (boot, first)
  ) STRICT;
  COMMIT;
`;
/** Pages of 4 kB taken at the beginning and left free in the file: some hundred reports. */
const RESERVE_PAGES = 256;

/** What could still be read of a damaged spool: enough to say which reports are lost. */
export type Salvage = { movedTo: string; boots: Position[]; held: DroppedRange[] };

export function openSpoolDatabase(path: string): { database: DatabaseSync; salvage: Salvage | null } {
  try {
    return { database: open(path), salvage: null };
  } catch (error) {
    if (!isDamage(error)) throw named(error, path);
  }
  const salvage = { movedTo: `${path}.damaged`, ...readWhatIsLeft(path) };
  renameSync(path, salvage.movedTo);
  if (existsSync(`${path}-journal`)) renameSync(`${path}-journal`, `${salvage.movedTo}-journal`);
  try {
    return { database: open(path), salvage };
  } catch (error) {
    throw named(error, path);
  }
}

function open(path: string): DatabaseSync {
  const isNew = !existsSync(path);
  const database = new DatabaseSync(path, { timeout: 1000 });
  try {
    database.exec(SCHEMA);
    const check = database.prepare('PRAGMA quick_check(1)').get();
    if (check?.quick_check !== 'ok')
      throw Object.assign(new Error(`${check?.quick_check}`), { errcode: CODE.corrupt });
    if (isNew) {
      chmodSync(path, 0o600);
      reserve(database);
    }
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

/** Also takes room for the journal, which holds what a change overwrites: without it nothing could be deleted later. */
function reserve(database: DatabaseSync): void {
  database.exec(`
    CREATE TABLE reserve (room BLOB) STRICT;
    WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < ${RESERVE_PAGES})
      INSERT INTO reserve SELECT zeroblob(4000) FROM n;
    UPDATE reserve SET room = randomblob(4000);
    DROP TABLE reserve;
  `);
}

function readWhatIsLeft(path: string): { boots: Position[]; held: DroppedRange[] } {
  const boots: Position[] = [];
  const held: DroppedRange[] = [];
  let database: DatabaseSync | null = null;
  try {
    database = new DatabaseSync(path, { readOnly: true });
    for (const row of database.prepare('SELECT boot, last_seq FROM boots ORDER BY boot').iterate())
      boots.push({ boot: String(row.boot), seq: Number(row.last_seq) });
    for (const row of database.prepare('SELECT boot, seq FROM reports ORDER BY boot, seq').iterate())
      held.push({ boot: String(row.boot), from: Number(row.seq), to: Number(row.seq) });
    for (const row of database.prepare('SELECT boot, first, last FROM dropped').iterate())
      held.push({ boot: String(row.boot), from: Number(row.first), to: Number(row.last) });
  } catch (error) {
    if (sqliteCode(error) === null) throw error;
  } finally {
    database?.close();
  }
  return { boots, held };
}

/** The primary result code when SQLite said it, else null. */
function sqliteCode(error: unknown): number | null {
  if (!(error instanceof Error) || !('errcode' in error) || typeof error.errcode !== 'number') return null;
  return error.errcode & 0xff;
}

function isDamage(error: unknown): boolean {
  const code = sqliteCode(error);
  return code === CODE.corrupt || code === CODE.notADatabase;
}

export function isFull(error: unknown): boolean {
  if (sqliteCode(error) === CODE.full) return true;
  return error instanceof Error && 'code' in error && (error.code === 'ENOSPC' || error.code === 'EDQUOT');
}

/** SQLite's and the file system's errors as the spool's own. */
export function named(error: unknown, path: string): unknown {
  if (isFull(error))
    return new SpoolError(
      'full',
      `no room on the disk for the spool ${path}; free some, reports wait until then`,
    );
  const code = sqliteCode(error);
  if (code === CODE.busy)
    return new SpoolError(
      'locked',
      `another collector uses the spool ${path}; stop it, or give this one a data directory of its own`,
    );
  if (code !== null && error instanceof Error)
    return new SpoolError('unusable', `the spool ${path} can't be used: ${error.message}`);
  return error;
}
