import type { DatabaseSync } from 'node:sqlite';
import type { TopicName } from '../../core/ports/log.ts';
import { integer } from './database.ts';
import type { Calls, Place } from './protocol.ts';

/**
 * Removes at most `maxRecords`, the oldest first, so that appends can go in between, and nothing that a group has yet to
 * read. Says what the topics that share the bound on bytes hold afterwards.
 */
export function retain(
  database: DatabaseSync,
  { nowMs, rules, maxBytes, maxRecords }: Calls['retain']['ask'],
): Calls['retain']['answer'] {
  database.exec('BEGIN IMMEDIATE');
  try {
    const lows: Place[] = [];
    let removed = 0;
    for (const { topic, keepMs } of rules) {
      removed += removeOldest(
        database,
        topic,
        nowMs - keepMs,
        Number.MAX_SAFE_INTEGER,
        maxRecords - removed,
        lows,
      );
    }
    const bounded = rules.filter((rule) => rule.countsBytes).map((rule) => rule.topic);
    const held = () => bounded.reduce((sum, topic) => sum + bytesOf(database, topic), 0);
    let candidates = bounded;
    for (let surplus = held() - maxBytes; surplus > 0 && removed < maxRecords; surplus = held() - maxBytes) {
      const topic = oldestOf(database, candidates);
      if (topic === null) break;
      const few = Math.min(100, maxRecords - removed);
      const some = removeOldest(database, topic, Number.MAX_SAFE_INTEGER, surplus, few, lows);
      if (some === 0) candidates = candidates.filter((other) => other !== topic);
      removed += some;
    }
    const heldBytes = held();
    database.exec('COMMIT');
    return { lows, removed, heldBytes };
  } catch (error) {
    if (database.isTransaction) database.exec('ROLLBACK');
    throw error;
  }
}

function bytesOf(database: DatabaseSync, topic: TopicName): number {
  return integer(database.prepare('SELECT sum(bytes) AS n FROM span WHERE topic = ?').get(topic)?.n);
}

function oldestOf(database: DatabaseSync, topics: readonly TopicName[]): TopicName | null {
  let oldest: { topic: TopicName; atMs: number } | null = null;
  for (const topic of topics) {
    const row = database.prepare(`SELECT at_ms FROM log_${topic} ORDER BY id LIMIT 1`).get();
    if (row === undefined) continue;
    const atMs = integer(row.at_ms);
    if (oldest === null || atMs < oldest.atMs) oldest = { topic, atMs };
  }
  return oldest?.topic ?? null;
}

/** Where the slowest of a topic's groups stands in each partition. A group has a position from its first subscription on. */
function readUntil(database: DatabaseSync, topic: TopicName): Map<number, number> {
  const query = 'SELECT partition, min(offset) AS offset FROM position WHERE topic = ? GROUP BY partition';
  const rows = database.prepare(query).all(topic);
  return new Map(rows.map((row) => [integer(row.partition), integer(row.offset)]));
}

/** From the oldest on, until one is unread, younger than `beforeMs`, or `surplusBytes` are freed. Adds the new low offsets to `lows`. */
function removeOldest(
  database: DatabaseSync,
  topic: TopicName,
  beforeMs: number,
  surplusBytes: number,
  maxRecords: number,
  lows: Place[],
): number {
  if (maxRecords <= 0) return 0;
  const query = `SELECT id, partition, offset, at_ms, length(value) AS size FROM log_${topic} ORDER BY id LIMIT ?`;
  const spans = new Map<number, { low: number; bytes: number }>();
  const unread = readUntil(database, topic);
  let removed = 0;
  let lastId = -1;
  let freed = 0;
  for (const row of database.prepare(query).iterate(maxRecords)) {
    if (integer(row.at_ms) >= beforeMs || freed >= surplusBytes) break;
    const partition = integer(row.partition);
    if (integer(row.offset) >= (unread.get(partition) ?? Number.MAX_SAFE_INTEGER)) break;
    const size = integer(row.size);
    const span = spans.get(partition) ?? { low: 0, bytes: 0 };
    spans.set(partition, { low: integer(row.offset) + 1, bytes: span.bytes + size });
    lastId = integer(row.id);
    freed += size;
    removed += 1;
  }
  database.prepare(`DELETE FROM log_${topic} WHERE id <= ?`).run(lastId);
  const move = database.prepare(
    'UPDATE span SET low = ?, bytes = bytes - ? WHERE topic = ? AND partition = ?',
  );
  for (const [partition, { low, bytes }] of spans) {
    move.run(low, bytes, topic, partition);
    lows.push({ topic, partition, offset: low });
  }
  return removed;
}
