/*
 * What SQL can make of a sealed report: the columns of table `report` but for scores and penalties. One JSONExtract into
 * one tuple, since each call parses the whole text again.
 */

const SHAPE = `Tuple(
  site String, boot String, seq UInt64, ts Int64, clockOffsetMs Nullable(Int32), intervalMs UInt32, missed UInt8,
  kind String, prev Tuple(boot String, seq UInt64), held Tuple(boot String, seq UInt64),
  host Tuple(
    cpu Tuple(utilization Nullable(Float64)), memory Tuple(utilization Nullable(Float64)),
    swap Tuple(utilization Nullable(Float64)), disks Array(Tuple(utilization Float64)),
    interfaces Array(Tuple(rxBytes UInt64, txBytes UInt64)),
    pressure Tuple(cpuSome Nullable(Float64), memorySome Nullable(Float64), ioSome Nullable(Float64)),
    uptimeS Float64),
  links Array(Tuple(
    name String, up Bool, epoch UInt64, requests UInt64, losses UInt64, errors UInt64,
    latency Tuple(p50Ms Float64, p90Ms Float64, p99Ms Float64))))`;

const bp = (path: string, name: string) => `toInt32(round(r.host.${path} * 10000)) AS ${name}`;
const each = (path: string) => `arrayMap(link -> link.${path}, r.links)`;
const us = (name: string) => `arrayMap(link -> toUInt32(round(link.latency.${name}Ms * 1000)), r.links)`;

/** SELECT that flattens the column `sealed` of a Kafka table. */
export const FLATTEN = (table: string): string => `SELECT
    r.site AS site, r.boot AS boot, r.seq AS seq, fromUnixTimestamp64Milli(r.ts, 'UTC') AS ts,
    received_at, 'live' AS lane, r.kind AS kind,
    substring(base64URLEncode(SHA256(payload)), 1, 16) AS payload_hash,
    r.intervalMs AS interval_ms, r.clockOffsetMs AS clock_offset_ms, r.missed AS missed,
    r.prev.boot AS prev_boot, r.prev.seq AS prev_seq, r.held.boot AS held_boot, r.held.seq AS held_seq,
    ${bp('cpu.utilization', 'cpu_bp')}, ${bp('memory.utilization', 'memory_bp')},
    ${bp('swap.utilization', 'swap_bp')},
    toInt32(round(arrayMax(arrayMap(disk -> disk.utilization, r.host.disks)) * 10000)) AS disk_bp,
    ${bp('pressure.cpuSome', 'pressure_cpu_bp')}, ${bp('pressure.memorySome', 'pressure_memory_bp')},
    ${bp('pressure.ioSome', 'pressure_io_bp')}, toUInt32(r.host.uptimeS) AS uptime_s,
    arraySum(one -> one.rxBytes, r.host.interfaces) AS net_rx_bytes,
    arraySum(one -> one.txBytes, r.host.interfaces) AS net_tx_bytes,
    ${each('name')} AS link_name, arrayMap(link -> toUInt8(link.up), r.links) AS link_up, ${each('epoch')} AS link_epoch,
    ${each('requests')} AS link_requests, ${each('losses')} AS link_losses, ${each('errors')} AS link_errors,
    ${us('p50')} AS link_p50_us, ${us('p90')} AS link_p90_us, ${us('p99')} AS link_p99_us, payload
  FROM (SELECT substring(sealed, 33) AS payload, JSONExtract(payload, '${SHAPE}') AS r,
      assumeNotNull(_timestamp_ms) AS received_at FROM ${table})`;
