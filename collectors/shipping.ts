import { MAX_FRAME_BYTES } from '../core/channel.ts';
import { comparePositions } from '../core/dropped-ranges.ts';
import type { DroppedRange, Position } from '../core/model/report.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { HeldReport, Spool } from '../core/ports/spool.ts';
import type { Uplink } from '../core/ports/uplink.ts';

const MAX_BATCH_REPORTS = 64;
const MAX_BATCH_BYTES = MAX_FRAME_BYTES / 2;
/** Batches a second on the slow lane: small ones, so that a live report never waits long behind one. */
const BATCHES_PER_S = 4;
/** Reports whose dropped ranges are remembered until their acknowledgement; later ones say the same again. */
const MAX_CARRIED = 64;

export type ShippingOptions = {
  spool: Spool;
  uplink: Uplink;
  clock: Clock;
  /** Runs a change of the spool; false when the disk is full and it did not happen. */
  change: (work: () => void) => boolean;
};

/**
 * Brings reports to the stream and only then lets the spool forget them: the newest at once on the live lane, what was
 * held meanwhile oldest first on the backfill lane, at the rate that the hub allows. What got no acknowledgement stays
 * held and goes again.
 */
export class Shipping {
  readonly #options: ShippingOptions;
  /** On its way on the live lane. */
  readonly #live = new Map<string, { position: Position; settled: Promise<void> }>();
  readonly #carried = new Map<string, readonly DroppedRange[]>();
  readonly #stopping = new AbortController();
  #newest: HeldReport | null = null;
  #isFilling = false;
  #freeAtMonoMs = 0;
  #deliveredAtMs: number | null = null;

  constructor(options: ShippingOptions) {
    this.#options = options;
  }

  get lastDeliveredAtMs(): number | null {
    return this.#deliveredAtMs;
  }

  /** A report that the spool has now, the newest there is, and the dropped ranges that it names. */
  offer(report: HeldReport, dropped: readonly DroppedRange[]): void {
    this.#newest = report;
    if (dropped.length > 0) this.#carried.set(keyOf(report.position), dropped);
    for (const key of this.#carried.keys()) if (this.#carried.size > MAX_CARRIED) this.#carried.delete(key);
    this.#sendLive(report);
    this.#backfill();
  }

  /** The uplink is ready: whatever is held goes. */
  resume(): void {
    if (this.#newest !== null) this.#sendLive(this.#newest);
    this.#backfill();
  }

  /** Waits for what is under way, at most so long; afterwards nothing more is sent. */
  async finish(withinMs: number): Promise<void> {
    const underWay = Promise.allSettled([...this.#live.values()].map(({ settled }) => settled));
    const gaveUp = new AbortController();
    await Promise.race([underWay, pause(withinMs, gaveUp.signal)]);
    gaveUp.abort();
    this.#stopping.abort();
  }

  get #maySend(): boolean {
    return this.#options.uplink.ready && !this.#stopping.signal.aborted;
  }

  #sendLive(report: HeldReport): void {
    const key = keyOf(report.position);
    if (this.#live.has(key) || !this.#maySend) return;
    const settled = this.#options.uplink.send('live', [report.sealed]).then((outcome) => {
      this.#live.delete(key);
      if (outcome.ok) this.#delivered([report.position]);
    });
    this.#live.set(key, { position: report.position, settled });
  }

  #backfill(): void {
    if (this.#isFilling) return;
    this.#isFilling = true;
    void this.#fill().finally(() => {
      this.#isFilling = false;
    });
  }

  async #fill(): Promise<void> {
    const { uplink, clock } = this.#options;
    while (this.#maySend) {
      await pause(this.#freeAtMonoMs - clock.monoMs(), this.#stopping.signal);
      const batch = this.#maySend ? this.#nextBatch() : [];
      if (batch.length === 0) return;
      this.#freeAtMonoMs = clock.monoMs() + (batch.length * 1000) / uplink.backfillPerS();
      const sealed = batch.map((report) => report.sealed);
      const outcome = await uplink.send('backfill', sealed);
      if (!outcome.ok) return;
      this.#delivered(batch.map(({ position }) => position));
    }
  }

  /** Oldest first, up to the oldest that is already on its way on the live lane. */
  #nextBatch(): HeldReport[] {
    const { spool, uplink } = this.#options;
    const [underWay] = [...this.#live.values()].map(({ position }) => position).sort(comparePositions);
    const share = Math.floor(uplink.backfillPerS() / BATCHES_PER_S);
    const batch: HeldReport[] = [];
    let bytes = 0;
    for (const report of spool.oldest(Math.min(MAX_BATCH_REPORTS, Math.max(1, share)), underWay)) {
      bytes += report.sealed.byteLength;
      if (batch.length > 0 && bytes > MAX_BATCH_BYTES) break;
      batch.push(report);
    }
    return batch;
  }

  #delivered(positions: readonly Position[]): void {
    const { spool, clock, change } = this.#options;
    this.#deliveredAtMs = clock.nowMs();
    change(() => spool.forget(positions));
    for (const position of positions) {
      const key = keyOf(position);
      const ranges = this.#carried.get(key);
      this.#carried.delete(key);
      if (ranges !== undefined) change(() => spool.forgetDropped(ranges));
      if (this.#newest !== null && keyOf(this.#newest.position) === key) this.#newest = null;
    }
  }
}

function keyOf({ boot, seq }: Position): string {
  return `${boot} ${seq}`;
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (ms <= 0 || signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done, { once: true });
  });
}
