import type { Clock } from '../../core/ports/clock.ts';

const RETRY = { leastMs: 2000, mostMs: 5 * 60_000 } as const;
const AWAY = { leastMs: 15_000, mostMs: 5 * 60_000, jitterMs: 5000 } as const;

/** How long enforcement waits, ever longer: for a dataplane that did not take something, and for a hub that is away. */
export class Waits {
  readonly #clock: Clock;
  readonly #random: () => number;
  #blocked: { reason: string; untilMonoMs: number; waitMs: number } | null = null;
  #away: { untilMonoMs: number; waitMs: number } = { untilMonoMs: 0, waitMs: AWAY.leastMs };

  constructor(clock: Clock, random: () => number) {
    this.#clock = clock;
    this.#random = random;
  }

  /** What the dataplane did not take; null when it took the last that there was. */
  get reason(): string | null {
    return this.#blocked?.reason ?? null;
  }

  get isBlocked(): boolean {
    return this.#blocked !== null && this.#clock.monoMs() < this.#blocked.untilMonoMs;
  }

  get isHubAwaited(): boolean {
    return this.#clock.monoMs() < this.#away.untilMonoMs;
  }

  /** Gives how long it is. */
  block(reason: string): number {
    const waitMs = Math.min(RETRY.mostMs, (this.#blocked?.waitMs ?? RETRY.leastMs / 2) * 2);
    this.#blocked = { reason: reason.slice(0, 200), waitMs, untilMonoMs: this.#clock.monoMs() + waitMs };
    return waitMs;
  }

  unblock(): void {
    this.#blocked = null;
  }

  forHub(): void {
    const { waitMs } = this.#away;
    this.#away = { untilMonoMs: this.#soon() + waitMs, waitMs: Math.min(AWAY.mostMs, 2 * waitMs) };
  }

  /** Soon, spread over the fleet. */
  hubIsBack(): void {
    this.#away = { untilMonoMs: this.#soon(), waitMs: AWAY.leastMs };
  }

  #soon(): number {
    return this.#clock.monoMs() + this.#random() * AWAY.jitterMs;
  }
}
