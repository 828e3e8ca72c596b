import type { Log } from '../../core/ports/log.ts';
import type { Logger } from '../../core/ports/logger.ts';
import type { Table } from '../../core/ports/table.ts';
import { KafkaLog } from './log.ts';
import { Sender } from './sender.ts';
import { KafkaTable } from './table.ts';
import { ensureTopics } from './topics.ts';

/** A log and a table on Kafka; topics, groups and transactional ids are named `prefix.` and something. */
export function openKafka(options: {
  brokers: string[];
  prefix: string;
  partitions: number;
  replicationFactor: number;
  retentionMs: number;
  logger: Logger;
}): { log: Log; table: Table } {
  const { brokers, prefix, logger, ...settings } = options;
  const kafka = { brokers, prefix, logger };
  let prepared: Promise<void> | null = null;
  const prepare = () => {
    prepared ??= ensureTopics(kafka, settings).catch((error: unknown) => {
      prepared = null;
      throw error;
    });
    return prepared;
  };
  // One sender each: stopping one of them leaves the other's alone.
  return {
    log: new KafkaLog({ kafka, sender: new Sender(kafka), prepare }),
    table: new KafkaTable({ kafka, sender: new Sender(kafka), prepare }),
  };
}
