import type { DatabaseSync, StatementSync } from 'node:sqlite';
import type { TopicName } from '../../core/ports/log.ts';
import type { TableName } from '../../core/ports/table.ts';
import { blob, integer, text } from './database.ts';
import { type Entry, type Packed, pack } from './packed.ts';
import type { Place, ReadResult } from './protocol.ts';

export class Reads {
  readonly #database: DatabaseSync;
  readonly #queries: Record<TopicName, StatementSync>;

  constructor(database: DatabaseSync) {
    this.#database = database;
    const query = (topic: TopicName) =>
      database.prepare(
        `SELECT offset, at_ms, key, value FROM log_${topic} WHERE partition = ? AND offset >= ? ORDER BY offset LIMIT ?`,
      );
    this.#queries = { reports: query('reports'), backfill: query('backfill'), commands: query('commands') };
  }

  /** Takes an equal share of each place first, so that a full partition does not starve the ones after it. */
  records(from: readonly Place[], maxRecords: number, maxBytes: number): ReadResult {
    const topics: TopicName[] = [];
    const partitions: number[] = [];
    const offsets: number[] = [];
    const appendedAtMs: number[] = [];
    const entries: Entry[] = [];
    let bytes = 0;
    from.forEach(({ topic, partition, offset }, i) => {
      const share = Math.ceil((maxRecords - entries.length) / (from.length - i));
      if (share <= 0) return;
      for (const row of this.#queries[topic].iterate(partition, offset, share)) {
        if (bytes >= maxBytes) break;
        const value = blob(row.value);
        bytes += value.byteLength;
        topics.push(topic);
        partitions.push(partition);
        offsets.push(integer(row.offset));
        appendedAtMs.push(integer(row.at_ms));
        entries.push({ key: text(row.key), value });
      }
    });
    return { topics, partitions, offsets, appendedAtMs, packed: pack(entries) };
  }

  table(name: TableName): Packed {
    const rows = this.#database.prepare('SELECT key, value FROM entry WHERE tbl = ? ORDER BY key').all(name);
    return pack(rows.map((row) => ({ key: text(row.key), value: blob(row.value) })));
  }
}
