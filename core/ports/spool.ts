import type { DroppedRange, Position } from '../model/report.ts';

/*
 * A site's durable memory: its identity, its boots, and the reports the stream does not have yet.
 *
 * - `beginBoot` counts the boot durably before it returns, so that no (boot, seq) is ever used twice.
 * - `put` resolves when the report survives a kill. The bytes are sealed once and sent unchanged ever after, so that a
 *   repeat has the same hash.
 * - Bounded by bytes and age: the oldest are dropped first and remembered as ranges (neighbours merged, the newest 32
 *   kept, older ones merged into a range from the oldest on), until `forgetDropped`.
 * - `oldest` reads in (boot, seq) order. Small texts (baselines, clock offset) are kept by name.
 */
export type HeldReport = { position: Position; sealed: Uint8Array; madeAtMs: number };

export interface Spool {
  start(): Promise<void>;
  /** Texts kept by name: key, CA, baselines. Durable when it returns. */
  keep(name: string, text: string): void;
  kept(name: string): string | null;
  beginBoot(): { boot: string; prev: Position | null };
  put(report: HeldReport): void;
  /** Forgets reports that the stream has. */
  forget(positions: readonly Position[]): void;
  oldest(limit: number, before?: Position): HeldReport[];
  oldestPosition(): Position | null;
  dropped(): DroppedRange[];
  forgetDropped(ranges: readonly DroppedRange[]): void;
  /** Applies the bounds now. */
  trim(nowMs: number): void;
  stats(): { reports: number; bytes: number };
  stop(): Promise<void>;
}
