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

export type Shipping = {
  /** A report that the spool has now; the newest there is. */
  offer(report: HeldReport, dropped: readonly DroppedRange[]): void;
  /** The uplink is ready: whatever is held goes. */
  resume(): void;
  lastDeliveredAtMs(): number | null;
  /** Waits for what is under way, at most so long; afterwards nothing more is sent. */
  finish(withinMs: number): Promise<void>;
};

/**
 * Brings reports to the stream and only then lets the spool forget them: the newest at once on the live lane, what was
 * held meanwhile oldest first on the backfill lane, at the rate that the hub allows. What got no acknowledgement stays
 * held and goes again.
 */
export function createShipping(options: {
  spool: Spool;
  uplink: Uplink;
  clock: Clock;
  /** Runs a change of the spool; false when the disk is full and it did not happen. */
  change: (work: () => void) => boolean;
}): Shipping {
  const { spool, uplink, clock, change } = options;
  const live = new Map<string, { position: Position; settled: Promise<void> }>();
  const carried = new Map<string, readonly DroppedRange[]>();
  let newest: HeldReport | null = null;
  let isFilling = false;
  let freeAtMonoMs = 0;
  let deliveredAtMs: number | null = null;
  const stopping = new AbortController();

  function delivered(positions: readonly Position[]): void {
    deliveredAtMs = clock.nowMs();
    change(() => spool.forget(positions));
    for (const position of positions) {
      const key = keyOf(position);
      const ranges = carried.get(key);
      carried.delete(key);
      if (ranges !== undefined) change(() => spool.forgetDropped(ranges));
      if (newest !== null && keyOf(newest.position) === key) newest = null;
    }
  }

  function sendLive(report: HeldReport): void {
    const key = keyOf(report.position);
    if (live.has(key) || !uplink.ready || stopping.signal.aborted) return;
    const settled = uplink.send('live', [report.sealed]).then((outcome) => {
      live.delete(key);
      if (outcome.ok) delivered([report.position]);
    });
    live.set(key, { position: report.position, settled });
  }

  /** Oldest first, up to the oldest that is already on its way on the live lane. */
  function nextBatch(): HeldReport[] {
    const underWay = [...live.values()].map(({ position }) => position).sort(comparePositions);
    const limit = Math.min(MAX_BATCH_REPORTS, Math.max(1, Math.floor(uplink.backfillPerS() / BATCHES_PER_S)));
    const batch: HeldReport[] = [];
    let bytes = 0;
    for (const report of spool.oldest(limit, underWay[0])) {
      bytes += report.sealed.byteLength;
      if (batch.length > 0 && bytes > MAX_BATCH_BYTES) break;
      batch.push(report);
    }
    return batch;
  }

  async function fill(): Promise<void> {
    while (uplink.ready && !stopping.signal.aborted) {
      await pause(freeAtMonoMs - clock.monoMs(), stopping.signal);
      if (!uplink.ready || stopping.signal.aborted) return;
      const batch = nextBatch();
      if (batch.length === 0) return;
      freeAtMonoMs = clock.monoMs() + (batch.length * 1000) / uplink.backfillPerS();
      const outcome = await uplink.send(
        'backfill',
        batch.map(({ sealed }) => sealed),
      );
      if (!outcome.ok) return;
      delivered(batch.map(({ position }) => position));
    }
  }

  function backfill(): void {
    if (isFilling) return;
    isFilling = true;
    void fill().finally(() => {
      isFilling = false;
    });
  }

  return {
    offer(report, dropped) {
      newest = report;
      if (dropped.length > 0) carried.set(keyOf(report.position), dropped);
      for (const key of carried.keys()) if (carried.size > MAX_CARRIED) carried.delete(key);
      sendLive(report);
      backfill();
    },
    resume() {
      if (newest !== null) sendLive(newest);
      backfill();
    },
    lastDeliveredAtMs: () => deliveredAtMs,
    async finish(withinMs) {
      const underWay = Promise.allSettled([...live.values()].map(({ settled }) => settled));
      const gaveUp = new AbortController();
      await Promise.race([underWay, pause(withinMs, gaveUp.signal)]);
      gaveUp.abort();
      stopping.abort();
    },
  };
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
