import { Readable } from 'node:stream';
import { type ClickHouseClient, ClickHouseLogLevel, createClient } from '@clickhouse/client';
import {
  type Clients,
  DERIVE_TIMEOUT_S,
  DERIVER_SETTINGS,
  type LaneLimits,
  READS_PER_LANE,
  readSettings,
  WRITER_SETTINGS,
} from './clients.ts';
import { DATABASE } from './schema/database.ts';

/** How long beyond its own limit a query may take to say so. */
const GRACE_MS = 5_000;
const WRITE_TIMEOUT_MS = 60_000;

/** Errors reach the caller, who logs them; the client itself would write to the console. */
const QUIET = { level: ClickHouseLogLevel.OFF };

/** A ClickHouse server over HTTP; user and password may be part of the address. */
export async function openServer(url: string, limits: LaneLimits): Promise<Clients> {
  const first = createClient({ url, database: 'default', request_timeout: WRITE_TIMEOUT_MS, log: QUIET });
  try {
    await first.command({ query: `CREATE DATABASE IF NOT EXISTS ${DATABASE} ENGINE = Atomic` });
  } finally {
    await first.close();
  }
  const connect = (settings: Record<string, string | number>, timeoutMs: number): ClickHouseClient =>
    createClient({
      url,
      database: DATABASE,
      request_timeout: timeoutMs,
      max_open_connections: 1,
      clickhouse_settings: settings,
      log: QUIET,
    });
  const lane = (name: 'reader' | 'replay') =>
    Array.from({ length: READS_PER_LANE }, () =>
      connect(readSettings(limits[name], 0), limits[name].timeS * 1000 + GRACE_MS),
    );
  const writer = connect(WRITER_SETTINGS, WRITE_TIMEOUT_MS);
  const deriver = connect(DERIVER_SETTINGS, DERIVE_TIMEOUT_S * 1000 + GRACE_MS);
  const reader = lane('reader');
  const replay = lane('replay');
  return {
    writer,
    deriver,
    reader,
    replay,
    insertBlock: async (table, columns, _structure, block) => {
      const { stream } = await writer.exec({
        query: `INSERT INTO ${DATABASE}.${table} (${columns.join(', ')}) FORMAT Native`,
        values: Readable.from(Buffer.from(block.buffer, block.byteOffset, block.byteLength), {
          objectMode: false,
        }),
      });
      stream.resume();
    },
    settle: async () => {},
    close: async () => {
      for (const client of [writer, deriver, ...reader, ...replay]) await client.close();
    },
  };
}
