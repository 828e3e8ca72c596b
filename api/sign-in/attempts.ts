import type { Metrics } from '../../core/ports/metrics.ts';

/** Failures that an address may have in a window before it has to wait for the window's end. */
const MAX_FAILURES = 20;
const WINDOW_MS = 60_000;
const MAX_ADDRESSES = 10_000;

/** Counts failed sign-ins and joins by address. Bounded: the address that has failed for the longest is forgotten first. */
export class Attempts {
  readonly #failures = new Map<string, { sinceMs: number; count: number }>();
  readonly #forgotten: () => void;

  constructor(metrics: Metrics) {
    this.#forgotten = metrics.counter(
      'plumbline_api_attempts_forgotten_total',
      'Addresses with failed sign-ins that were forgotten before their time because there were too many',
    );
  }

  /** Seconds until the address may try again; 0 when it may now. */
  waitS(address: string, nowMs: number): number {
    const failed = this.#failures.get(address);
    if (failed === undefined || failed.count < MAX_FAILURES) return 0;
    return Math.max(0, Math.ceil((failed.sinceMs + WINDOW_MS - nowMs) / 1000));
  }

  failed(address: string, nowMs: number): void {
    const failed = this.#failures.get(address);
    if (failed !== undefined && nowMs - failed.sinceMs < WINDOW_MS) {
      failed.count++;
      return;
    }
    this.#failures.delete(address);
    this.#failures.set(address, { sinceMs: nowMs, count: 1 });
    const [oldest] = this.#failures.keys();
    if (this.#failures.size <= MAX_ADDRESSES || oldest === undefined) return;
    this.#failures.delete(oldest);
    this.#forgotten();
  }
}
