import type { Metrics } from '../../core/ports/metrics.ts';

/** Bytes of frames that all channels together may have waiting for the log. */
const MAX_IN_FLIGHT_BYTES = 64 * 1024 * 1024;

/** Counts what waits for the log. Above the bound channels stop reading, and go on in the order in which they stopped. */
export class InFlightBudget {
  readonly #maxBytes: number;
  readonly #waiting = new Set<() => void>();
  readonly #show: (value: number) => void;
  readonly #overflowed: () => void;
  #bytes = 0;

  constructor(metrics: Metrics, maxBytes = MAX_IN_FLIGHT_BYTES) {
    this.#maxBytes = maxBytes;
    this.#show = metrics.gauge('plumbline_gateway_in_flight_bytes', 'Bytes of frames that wait for the log');
    this.#overflowed = metrics.counter(
      'plumbline_gateway_in_flight_overflow_total',
      'Times a channel stopped reading because all channels together had too much waiting',
    );
  }

  take(bytes: number): void {
    this.#bytes += bytes;
    this.#show(this.#bytes);
  }

  get isSpent(): boolean {
    return this.#bytes > this.#maxBytes;
  }

  /** Calls back once there is room. */
  whenRoom(resume: () => void): void {
    if (this.#waiting.has(resume)) return;
    this.#overflowed();
    this.#waiting.add(resume);
  }

  giveBack(bytes: number): void {
    this.#bytes -= bytes;
    this.#show(this.#bytes);
    for (const resume of this.#waiting) {
      if (this.isSpent) return;
      this.#waiting.delete(resume);
      resume();
    }
  }

  forget(resume: () => void): void {
    this.#waiting.delete(resume);
  }
}
