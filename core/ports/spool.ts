import type { DroppedRange, Position } from '../model/report.ts';

/*
 * A site's durable memory: its identity, its boots, and the reports the stream does not have yet.
 *
 * - `beginBoot` counts the boot durably before it returns, so that no (boot, seq) is ever used twice. `prev` is the last
 *   boot that made a report; boots that made none are passed over, since nobody could have heard of them.
 * - `put` returns when the report survives a kill. The bytes are sealed once and sent unchanged ever after, so that a
 *   repeat has the same hash.
 * - Bounded by bytes and age: the oldest are dropped first and remembered as ranges (neighbours merged) until
 *   `forgetDropped`, which takes away just what it names, however the ranges grew meanwhile. `dropped` gives the newest
 *   32; the others follow when those are forgotten.
 * - `forget` of a report that was dropped meanwhile takes it out of the ranges: the stream has it after all.
 * - `oldest` reads in (boot, seq) order. Texts (baselines, clock offset, policy) are kept by name, each replaced as a whole.
 * - A full disk is `full`: nothing of that call happened. Reports are first dropped, oldest first, to make room.
 * - A damaged file is moved aside at `start`, and a new one begun; the texts and the boot counter live apart and survive.
 * - The functions need no `this`.
 */
export class SpoolError extends Error {
  readonly code: 'locked' | 'full' | 'unusable';
  constructor(code: 'locked' | 'full' | 'unusable', message: string) {
    super(message);
    this.name = 'SpoolError';
    this.code = code;
  }
}

export type HeldReport = { position: Position; sealed: Uint8Array; madeAtMs: number };

export interface Spool {
  start(): Promise<void>;
  /** Texts kept by name: key, CA, baselines. Durable when it returns. Null forgets. A name with a slash is a file of its own. */
  keep(name: string, text: string | null): void;
  kept(name: string): string | null;
  /** Boots are numbered above this from now on: a site that is installed anew goes on where its last installation ended. */
  countBootsFrom(counter: number): void;
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
