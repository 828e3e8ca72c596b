import { createHash } from 'node:crypto';
import {
  accessSync,
  closeSync,
  constants,
  ftruncateSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { availableParallelism } from 'node:os';
import { join, resolve } from 'node:path';
import { type ClickHouseClient, ClickHouseLogLevel, createClient } from '@clickhouse/client';
import { drainPending, Session } from 'chdb';
import { createChdbConnection } from 'chdb/connection';
import { StoreError } from '../../core/ports/store.ts';
import {
  type Clients,
  DERIVER_SETTINGS,
  type LaneLimits,
  READS_PER_LANE,
  readSettings,
  WRITER_SETTINGS,
} from './clients.ts';
import { DATABASE } from './schema/database.ts';
import { spreadParts } from './spread.ts';

/*
 * ClickHouse in this process. Blocks go in through a file in memory that ClickHouse reads by itself: that is the only way
 * for bytes in a binary format, and the fastest one.
 */

/** A memory-backed directory where there is one. */
const MEMORY_DIR = '/dev/shm';
/** Above this the hand-over file is cut after use, so that one large batch does not hold memory for good. */
const KEPT_FILE_BYTES = 16 * 1024 * 1024;

/** The older analyzer plans an insert with its views in two thirds of the time. */
const EMBEDDED_WRITER_SETTINGS = { enable_analyzer: 0 };

type Settings = Record<string, string | number>;

export async function openEmbedded(path: string, limits: LaneLimits): Promise<Clients> {
  const dir = resolve(path);
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const anchor = openEngine(dir);
  const opened: ClickHouseClient[] = [];
  const connect = async (settings: Settings): Promise<ClickHouseClient> => {
    const connection = createChdbConnection({ path: dir });
    // cast: chdb types its connection by another copy of the client's package, whose settings differ in name only.
    const client = createClient({ connection: connection as never, log: { level: ClickHouseLogLevel.OFF } });
    opened.push(client);
    const statements = Object.entries(settings).map(([name, value]) => `${name} = ${value}`);
    await client.command({ query: `USE ${DATABASE}` });
    await client.command({ query: `SET ${statements.join(', ')}` });
    return client;
  };
  const close = async () => {
    for (const client of opened) await client.close();
    anchor.close();
    await drainPending();
  };
  try {
    await anchor.queryAsync(`CREATE DATABASE IF NOT EXISTS ${DATABASE} ENGINE = Atomic`);
    const threads = Math.max(1, Math.floor(availableParallelism() / 2));
    const lane = (name: 'reader' | 'replay') =>
      Promise.all(Array.from({ length: READS_PER_LANE }, () => connect(readSettings(limits[name], threads))));
    const writer = await connect({ ...WRITER_SETTINGS, ...EMBEDDED_WRITER_SETTINGS });
    const handOver = openHandOver(dir);
    const deriver = await connect(DERIVER_SETTINGS);
    return {
      writer,
      deriver,
      reader: await lane('reader'),
      replay: await lane('replay'),
      insertBlock: async (table, columns, structure, block) => {
        handOver.put(block);
        const source = `file('${sqlText(handOver.file)}', 'Native', '${sqlText(structure)}')`;
        await writer.command({
          query: `INSERT INTO ${DATABASE}.${table} (${columns.join(', ')}) SELECT * FROM ${source}`,
        });
        handOver.trim(block.byteLength);
      },
      settle: () => spreadParts(deriver),
      close: async () => {
        await close();
        handOver.close();
      },
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** The first connection of a path makes the engine, with its configuration; it must outlive the others. */
function openEngine(dir: string): Session {
  const config = join(dir, 'engine.xml');
  try {
    writeFileSync(config, ENGINE_CONFIG, { mode: 0o600 });
    return new Session(dir, { connectionArgs: [`--config-file=${config}`] });
  } catch (error) {
    const owner = ownerOf(dir);
    if (owner !== null)
      throw new StoreError(
        'locked',
        `the store at ${dir} is in use by process ${owner}: stop it, or give this one another data directory`,
      );
    throw new StoreError(
      'unavailable',
      `the store at ${dir} can't be opened: ${error instanceof Error ? error.message : error}`,
    );
  }
}

/**
 * The engine says of a lock it can't get (its code 76) only on standard error. It does note its process in file `status`,
 * which a killed owner leaves behind: so ask whether that process still runs.
 */
function ownerOf(dir: string): number | null {
  try {
    const pid = Number(/^PID: (\d+)/.exec(readFileSync(join(dir, 'status'), 'utf8'))?.[1]);
    if (!Number.isInteger(pid)) return null;
    accessSync(`/proc/${pid}`);
    return pid;
  } catch {
    return null;
  }
}

function sqlText(text: string): string {
  return text.replace(/[\\']/g, (character) => `\\${character}`);
}

/** One file, written over and over; its place depends on the data directory alone, so a killed process leaves one behind at most. */
function openHandOver(dir: string) {
  const own = handOverDir(dir);
  const file = join(own, 'block.native');
  const fd = openSync(file, 'w', 0o600);
  return {
    file,
    put: (block: Uint8Array) => {
      for (let at = 0; at < block.byteLength; ) at += writeSync(fd, block, at, block.byteLength - at, at);
      ftruncateSync(fd, block.byteLength);
    },
    trim: (sizeBytes: number) => {
      if (sizeBytes > KEPT_FILE_BYTES) ftruncateSync(fd, 0);
    },
    close: () => {
      closeSync(fd);
      rmSync(own, { recursive: true, force: true });
    },
  };
}

/** A directory that is ours alone: in shared memory somebody else may have made one of that name first. */
function handOverDir(dir: string): string {
  const name = `plumbline-${createHash('sha256').update(dir).digest('hex').slice(0, 16)}`;
  const shared = join(MEMORY_DIR, name);
  try {
    accessSync(MEMORY_DIR, constants.W_OK);
    mkdirSync(shared, { recursive: true, mode: 0o700 });
    const found = lstatSync(shared);
    if (found.isDirectory() && found.uid === process.getuid?.() && (found.mode & 0o077) === 0) return shared;
  } catch {
    // No shared memory here: the data directory does, at the price of a few more writes.
  }
  const inData = join(dir, 'hand-over');
  mkdirSync(inData, { recursive: true, mode: 0o700 });
  return inData;
}

/**
 * Sized for a hub beside other things on a machine: caches in tens of megabytes, few background threads. New parts are
 * small and are soon merged into others, so only those of some size are worth dense compression. Parts that were merged
 * stay for two minutes, in memory too, instead of eight: four times as long as the kernel takes to write the new one out.
 * A part of a few rows is mostly the making of its files: without sparse columns and marks of substreams it has two less.
 */
const ENGINE_CONFIG = `<clickhouse>
  <mark_cache_size>67108864</mark_cache_size>
  <primary_index_cache_size>67108864</primary_index_cache_size>
  <index_mark_cache_size>8388608</index_mark_cache_size>
  <query_condition_cache_size>16777216</query_condition_cache_size>
  <compiled_expression_cache_size>33554432</compiled_expression_cache_size>
  <background_pool_size>2</background_pool_size>
  <background_schedule_pool_size>2</background_schedule_pool_size>
  <asynchronous_metrics_update_period_s>60</asynchronous_metrics_update_period_s>
  <memory_worker_period_ms>1000</memory_worker_period_ms>
  <merge_tree>
    <old_parts_lifetime>120</old_parts_lifetime>
    <ratio_of_defaults_for_sparse_serialization>1</ratio_of_defaults_for_sparse_serialization>
    <serialization_info_version>basic</serialization_info_version>
    <string_serialization_version>single_stream</string_serialization_version>
    <write_marks_for_substreams_in_compact_parts>0</write_marks_for_substreams_in_compact_parts>
  </merge_tree>
  <compression><case>
    <min_part_size>4194304</min_part_size><min_part_size_ratio>0</min_part_size_ratio><method>zstd</method>
  </case></compression>
</clickhouse>
`;
