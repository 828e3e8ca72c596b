import type { Metrics } from '../../core/ports/metrics.ts';

/** Answers that an address may have at once, behind which there may be a whole fleet, and from then on a second. */
const BURST = 5_000;
const PER_S = 500;
const MAX_ADDRESSES = 10_000;

/** Bounds what anybody can have the hub compute. The address that asked longest ago is forgotten first. */
export class EchoBudget {
  readonly #left = new Map<string, { answers: number; atMs: number }>();
  readonly #refused: () => void;

  constructor(metrics: Metrics) {
    this.#refused = metrics.counter(
      'plumbline_gateway_echo_refused_total',
      'Echoes not answered because one address asked for too many',
    );
  }

  /** Whether the address may have one more now. */
  take(address: string, nowMs: number): boolean {
    const last = this.#left.get(address) ?? { answers: BURST, atMs: nowMs };
    const refilled = (Math.max(0, nowMs - last.atMs) / 1000) * PER_S;
    const answers = Math.min(BURST, last.answers + refilled);
    this.#left.delete(address);
    this.#left.set(address, { answers: answers < 1 ? answers : answers - 1, atMs: nowMs });
    const [oldest] = this.#left.keys();
    if (this.#left.size > MAX_ADDRESSES && oldest !== undefined) this.#left.delete(oldest);
    if (answers < 1) this.#refused();
    return answers >= 1;
  }
}
