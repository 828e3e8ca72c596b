import type { DroppedRange, Position } from '../core/model/report.ts';

export type Held = { seq: number; sealed: Buffer; declared: readonly DroppedRange[]; inFlight: boolean };

/** How many ranges a report can carry; further ones are merged from the oldest on, as a real spool does. */
const MOST_RANGES = 32;

/** A simulated site's spool: one boot, in memory, bounded, with the same words for what it holds and what it dropped. */
export class HeldReports {
  readonly #boot: string;
  readonly #most: number;
  /** In the order of their numbers. */
  readonly #held = new Map<number, Held>();
  #dropped: DroppedRange[] = [];
  bytes = 0;
  droppedCount = 0;

  constructor(boot: string, most: number) {
    this.#boot = boot;
    this.#most = most;
  }

  get size(): number {
    return this.#held.size;
  }

  /** Drops the oldest that no one is just sending, so that one more fits. */
  makeRoom(): void {
    for (const held of this.#held.values()) {
      if (this.#held.size < this.#most) return;
      if (held.inFlight) continue;
      this.#remove(held);
      this.#noteDropped(held.seq);
    }
  }

  put(held: Held): void {
    this.#held.set(held.seq, held);
    this.bytes += held.sealed.length;
  }

  /** The stream has these; what they declared as dropped is known there, and need not be said again. */
  forget(reports: readonly Held[]): void {
    for (const held of reports) {
      this.#remove(held);
      for (const range of held.declared) this.#dropped = this.#dropped.filter((one) => one !== range);
    }
  }

  #remove(held: Held): void {
    if (this.#held.delete(held.seq)) this.bytes -= held.sealed.length;
  }

  oldest(): Position | null {
    for (const seq of this.#held.keys()) return { boot: this.#boot, seq };
    return null;
  }

  dropped(): readonly DroppedRange[] {
    return this.#dropped;
  }

  /** Those that wait to be sent, oldest first. */
  waiting(limit: number): Held[] {
    const waiting: Held[] = [];
    for (const held of this.#held.values()) {
      if (waiting.length >= limit) break;
      if (!held.inFlight) waiting.push(held);
    }
    return waiting;
  }

  #noteDropped(seq: number): void {
    this.droppedCount++;
    const last = this.#dropped.at(-1);
    // A new object, because a report that declared the shorter range does not tell of the longer one.
    if (last?.to === seq - 1) this.#dropped = [...this.#dropped.slice(0, -1), { ...last, to: seq }];
    else this.#dropped = [...this.#dropped, { boot: this.#boot, from: seq, to: seq }];
    const [first, second, ...rest] = this.#dropped;
    if (this.#dropped.length > MOST_RANGES && first !== undefined && second !== undefined)
      this.#dropped = [{ ...first, to: second.to }, ...rest];
  }
}
