import type { DatabaseSync, StatementSync } from 'node:sqlite';
import type { TopicName } from '../../core/ports/log.ts';
import { integer } from './database.ts';
import { unpack } from './packed.ts';
import type { Edit, EditResult, Place } from './protocol.ts';

type EditOf<K extends Edit['kind']> = Extract<Edit, { kind: K }>;
type Tail = { next: number; lastMs: number; bytes: number };

/** Applies edits in order within one transaction. A fenced write changes nothing and harms none of the others. */
export class Edits {
  readonly #database: DatabaseSync;
  readonly #inserts: Record<TopicName, StatementSync>;
  readonly #tail: StatementSync;
  readonly #moveTail: StatementSync;
  readonly #commit: StatementSync;
  readonly #put: StatementSync;
  readonly #remove: StatementSync;
  readonly #epoch: StatementSync;

  constructor(database: DatabaseSync) {
    this.#database = database;
    const insert = (topic: TopicName) =>
      database.prepare(
        `INSERT INTO log_${topic} (partition, offset, at_ms, key, value) VALUES (?, ?, ?, ?, ?)`,
      );
    this.#inserts = {
      reports: insert('reports'),
      backfill: insert('backfill'),
      commands: insert('commands'),
    };
    this.#tail = database.prepare('SELECT next, last_ms, bytes FROM span WHERE topic = ? AND partition = ?');
    this.#moveTail = database.prepare(
      'UPDATE span SET next = ?, last_ms = ?, bytes = ? WHERE topic = ? AND partition = ?',
    );
    this.#commit = database.prepare(
      `INSERT INTO position VALUES (?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET offset = max(offset, excluded.offset)`,
    );
    this.#put = database.prepare(
      'INSERT INTO entry VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET value = excluded.value',
    );
    this.#remove = database.prepare('DELETE FROM entry WHERE tbl = ? AND key = ?');
    this.#epoch = database.prepare('SELECT epoch FROM owner WHERE role = ?');
  }

  apply(edits: readonly Edit[], atMs: number): EditResult[] {
    this.#database.exec('BEGIN IMMEDIATE');
    try {
      const results = edits.map((edit) => this.#one(edit, atMs));
      this.#database.exec('COMMIT');
      return results;
    } catch (error) {
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
      throw error;
    }
  }

  #one(edit: Edit, atMs: number): EditResult {
    switch (edit.kind) {
      case 'append':
        return this.#append(edit, atMs);
      case 'commit':
        for (const { topic, partition, offset } of edit.places) {
          this.#commit.run(edit.group, topic, partition, offset);
        }
        return { kind: 'done' };
      case 'write':
        return this.#write(edit);
      case 'claim': {
        const epoch = this.#epochOf(edit.role) + 1;
        this.#database.prepare('INSERT OR REPLACE INTO owner VALUES (?, ?)').run(edit.role, epoch);
        return { kind: 'claimed', epoch };
      }
    }
  }

  #append({ topic, partitions, packed }: EditOf<'append'>, atMs: number): EditResult {
    const insert = this.#inserts[topic];
    const tails = new Map<number, Tail>();
    unpack(packed).forEach(({ key, value }, i) => {
      const partition = partitions[i] ?? 0;
      const tail = tails.get(partition) ?? this.#tailOf(topic, partition, atMs);
      tails.set(partition, tail);
      insert.run(partition, tail.next, tail.lastMs, key, value);
      tail.next += 1;
      tail.bytes += value?.byteLength ?? 0;
    });
    const heads: Place[] = [];
    for (const [partition, tail] of tails) {
      this.#moveTail.run(tail.next, tail.lastMs, tail.bytes, topic, partition);
      heads.push({ topic, partition, offset: tail.next });
    }
    return { kind: 'appended', heads };
  }

  /** The clock may step back; the append time of a partition may not. */
  #tailOf(topic: TopicName, partition: number, atMs: number): Tail {
    const row = this.#tail.get(topic, partition);
    return {
      next: integer(row?.next),
      lastMs: Math.max(atMs, integer(row?.last_ms)),
      bytes: integer(row?.bytes),
    };
  }

  #write({ table, owner, packed }: EditOf<'write'>): EditResult {
    if (owner !== null && this.#epochOf(owner.role) !== owner.epoch) return { kind: 'fenced' };
    for (const { key, value } of unpack(packed)) {
      if (value === null) this.#remove.run(table, key);
      else this.#put.run(table, key, value);
    }
    return { kind: 'done' };
  }

  #epochOf(role: string): number {
    const row = this.#epoch.get(role);
    return row === undefined ? 0 : integer(row.epoch);
  }
}
