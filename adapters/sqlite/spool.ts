import { randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import type { DatabaseSync, SQLOutputValue } from 'node:sqlite';
import { addDropped, boundDropped, subtractDropped } from '../../core/dropped-ranges.ts';
import type { DroppedRange, Position } from '../../core/model/report.ts';
import { bootCounter } from '../../core/model/site.ts';
import type { Logger } from '../../core/ports/logger.ts';
import { type HeldReport, type Spool, SpoolError } from '../../core/ports/spool.ts';
import { isFull, named, openSpoolDatabase } from './spool-database.ts';
import { type Kept, openKept } from './spool-kept.ts';

export type SpoolOptions = {
  path: string;
  /** Of sealed reports; the file is up to a quarter larger. */
  maxBytes?: number;
  maxAgeMs?: number;
  logger?: Logger;
  random?: (bytes: number) => Buffer;
};

const DEFAULT_MAX_BYTES = 256 * 1024 * 1024;
const DEFAULT_MAX_AGE_MS = 24 * 3_600_000;
/** Remembered in all; a report has room for the newest 32. */
const MAX_RANGES = 256;
const REPORTED_RANGES = 32;
const BOOT_COUNTER = 'boot-counter';
/** Made free at once when the disk is full, so that the next reports fit too. */
const ROOM_BYTES = 256 * 1024;

type State = {
  database: DatabaseSync;
  kept: Kept;
  reports: number;
  bytes: number;
  ranges: DroppedRange[];
};

export function openSpool(options: SpoolOptions): Spool {
  return new SqliteSpool(options);
}

class SqliteSpool implements Spool {
  readonly #options: SpoolOptions;
  readonly #maxBytes: number;
  readonly #maxAgeMs: number;
  #state: State | null = null;

  constructor(options: SpoolOptions) {
    this.#options = options;
    this.#maxBytes = options.maxBytes ?? DEFAULT_MAX_BYTES;
    this.#maxAgeMs = options.maxAgeMs ?? DEFAULT_MAX_AGE_MS;
  }

  readonly start = async (): Promise<void> => {
    const { path, logger } = this.#options;
    if (this.#state !== null) return;
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    const { database, salvage } = openSpoolDatabase(path);
    const kept = openKept(`${path}.kept.json`, (movedTo) =>
      logger?.error({ path, movedTo, remedy: 'join again with a new token' }, 'spool.identity-damaged'),
    );
    this.#state = { database, kept, ...readSize(database), ranges: readRanges(database) };
    if (salvage === null) return;
    this.#change((next) => {
      const boots = next.database.prepare('INSERT OR IGNORE INTO boots VALUES (?, ?)');
      for (const { boot, seq } of salvage.boots) boots.run(boot, seq);
      next.ranges = addDropped(next.ranges, salvage.held);
    });
    logger?.error({ path, movedTo: salvage.movedTo, lost: salvage.held.length }, 'spool.damaged');
  };

  readonly keep = (name: string, text: string | null): void => {
    try {
      this.#opened().kept.set(name, text);
    } catch (error) {
      throw named(error, this.#options.path);
    }
  };

  readonly kept = (name: string): string | null => this.#opened().kept.get(name);

  readonly countBootsFrom = (counter: number): void => {
    const { kept } = this.#opened();
    kept.set(BOOT_COUNTER, String(Math.max(counter, Number(kept.get(BOOT_COUNTER) ?? 0))));
  };

  readonly beginBoot = (): { boot: string; prev: Position | null } => {
    const { database, kept } = this.#opened();
    const newest = database.prepare('SELECT max(boot) AS boot FROM boots').get()?.boot;
    // Both are asked: a damaged spool keeps the counter in the texts, a lost text keeps it in the spool.
    const inSpool = typeof newest === 'string' ? bootCounter(newest) : 0;
    const counter = Math.max(Number(kept.get(BOOT_COUNTER) ?? 0), inSpool) + 1;
    const id = (this.#options.random ?? randomBytes)(4).toString('hex');
    const boot = `${String(counter).padStart(8, '0')}-${id}`;
    const before = database
      .prepare('SELECT boot, last_seq AS seq FROM boots WHERE last_seq > 0 ORDER BY boot DESC LIMIT 1')
      .get();
    this.#change((next) => {
      next.database.exec('DELETE FROM boots WHERE last_seq = 0');
      next.database.prepare('INSERT INTO boots VALUES (?, 0)').run(boot);
      next.database.exec(
        'DELETE FROM boots WHERE boot NOT IN (SELECT boot FROM boots ORDER BY boot DESC LIMIT 16)',
      );
    });
    try {
      kept.set(BOOT_COUNTER, String(counter));
    } catch (error) {
      if (!isFull(error)) throw error;
    }
    return { boot, prev: before === undefined ? null : position(before) };
  };

  readonly put = (report: HeldReport): void => {
    try {
      this.#insert(report);
    } catch (error) {
      if (!(error instanceof SpoolError && error.code === 'full')) throw error;
      const targetBytes = this.#opened().bytes - ROOM_BYTES - report.sealed.byteLength;
      this.#change((next) => this.#drop(next, () => next.bytes <= targetBytes));
      this.#insert(report);
    }
  };

  readonly forget = (positions: readonly Position[]): void => {
    this.#change((next) => {
      const remove = next.database.prepare(
        'DELETE FROM reports WHERE boot = ? AND seq = ? RETURNING length(sealed) AS bytes',
      );
      const missing: DroppedRange[] = [];
      for (const { boot, seq } of positions) {
        const row = remove.get(boot, seq);
        if (row === undefined) missing.push({ boot, from: seq, to: seq });
        else {
          next.reports -= 1;
          next.bytes -= Number(row.bytes);
        }
      }
      if (missing.length > 0) next.ranges = subtractDropped(next.ranges, missing);
    });
  };

  readonly oldest = (limit: number, before?: Position): HeldReport[] => {
    const where = before === undefined ? '' : 'WHERE (boot, seq) < (?, ?)';
    const bounds = before === undefined ? [limit] : [before.boot, before.seq, limit];
    return this.#opened()
      .database.prepare(
        `SELECT boot, seq, made_at_ms, sealed FROM reports ${where} ORDER BY boot, seq LIMIT ?`,
      )
      .all(...bounds)
      .flatMap((row) =>
        row.sealed instanceof Uint8Array
          ? [{ position: position(row), sealed: row.sealed, madeAtMs: Number(row.made_at_ms) }]
          : [],
      );
  };

  readonly oldestPosition = (): Position | null => {
    const row = this.#opened()
      .database.prepare('SELECT boot, seq FROM reports ORDER BY boot, seq LIMIT 1')
      .get();
    return row === undefined ? null : position(row);
  };

  readonly dropped = (): DroppedRange[] => this.#opened().ranges.slice(-REPORTED_RANGES);

  readonly forgetDropped = (ranges: readonly DroppedRange[]): void => {
    if (ranges.length === 0) return;
    this.#change((next) => {
      next.ranges = subtractDropped(next.ranges, ranges);
    });
  };

  readonly trim = (nowMs: number): void => {
    const oldestMs = nowMs - this.#maxAgeMs;
    const row = this.#opened()
      .database.prepare('SELECT made_at_ms FROM reports ORDER BY boot, seq LIMIT 1')
      .get();
    if (row === undefined || Number(row.made_at_ms) >= oldestMs) return;
    this.#change((next) => this.#drop(next, ({ madeAtMs }) => madeAtMs >= oldestMs));
  };

  readonly stats = (): { reports: number; bytes: number } => {
    const { reports, bytes } = this.#opened();
    return { reports, bytes };
  };

  readonly stop = async (): Promise<void> => {
    this.#state?.database.close();
    this.#state = null;
  };

  #opened(): State {
    if (this.#state === null) throw new Error('the spool is not open');
    return this.#state;
  }

  /** All or nothing; counters and ranges change only with the commit. */
  #change(work: (next: State) => void): void {
    const current = this.#opened();
    const next = { ...current };
    try {
      current.database.exec('BEGIN IMMEDIATE');
      work(next);
      if (next.ranges !== current.ranges) next.ranges = writeRanges(next.database, next.ranges);
      current.database.exec('COMMIT');
    } catch (error) {
      // SQLite has rolled back by itself after some errors (a full disk among them).
      if (current.database.isTransaction) current.database.exec('ROLLBACK');
      throw named(error, this.#options.path);
    }
    this.#state = next;
  }

  #insert({ position: { boot, seq }, sealed, madeAtMs }: HeldReport): void {
    this.#change((next) => {
      this.#drop(next, () => next.bytes + sealed.byteLength <= this.#maxBytes);
      next.database
        .prepare('INSERT INTO reports (boot, seq, made_at_ms, sealed) VALUES (?, ?, ?, ?)')
        .run(boot, seq, madeAtMs, sealed);
      next.database.prepare('UPDATE boots SET last_seq = max(last_seq, ?) WHERE boot = ?').run(seq, boot);
      next.reports += 1;
      next.bytes += sealed.byteLength;
    });
  }

  /** Oldest first, until it is enough or none is left. */
  #drop(next: State, isEnough: (oldest: { madeAtMs: number }) => boolean): void {
    const gone: DroppedRange[] = [];
    const remove = next.database.prepare('DELETE FROM reports WHERE boot = ? AND seq = ?');
    for (const row of oldestFirst(next.database)) {
      if (isEnough({ madeAtMs: Number(row.made_at_ms) })) break;
      const { boot, seq } = position(row);
      remove.run(boot, seq);
      gone.push({ boot, from: seq, to: seq });
      next.reports -= 1;
      next.bytes -= Number(row.bytes);
    }
    if (gone.length === 0) return;
    next.ranges = addDropped(next.ranges, gone);
    this.#options.logger?.warn({ reports: gone.length, first: gone[0], last: gone.at(-1) }, 'spool.dropped');
  }
}

/** In groups, which the caller deletes as it goes. */
function* oldestFirst(database: DatabaseSync): Generator<Record<string, SQLOutputValue>> {
  const group = database.prepare(
    'SELECT boot, seq, made_at_ms, length(sealed) AS bytes FROM reports ORDER BY boot, seq LIMIT 64',
  );
  for (let rows = group.all(); rows.length > 0; rows = group.all()) yield* rows;
}

function readSize(database: DatabaseSync): { reports: number; bytes: number } {
  const row = database
    .prepare('SELECT count(*) AS reports, coalesce(sum(length(sealed)), 0) AS bytes FROM reports')
    .get();
  return { reports: Number(row?.reports), bytes: Number(row?.bytes) };
}

function readRanges(database: DatabaseSync): DroppedRange[] {
  return database
    .prepare('SELECT boot, first, last FROM dropped ORDER BY boot, first')
    .all()
    .map((row) => ({ boot: String(row.boot), from: Number(row.first), to: Number(row.last) }));
}

function position(row: Record<string, SQLOutputValue>): Position {
  return { boot: String(row.boot), seq: Number(row.seq) };
}

function writeRanges(database: DatabaseSync, ranges: readonly DroppedRange[]): DroppedRange[] {
  const bounded = boundDropped(ranges, MAX_RANGES);
  database.exec('DELETE FROM dropped');
  const add = database.prepare('INSERT INTO dropped VALUES (?, ?, ?)');
  for (const { boot, from, to } of bounded) add.run(boot, from, to);
  return bounded;
}
