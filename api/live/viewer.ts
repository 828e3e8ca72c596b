import type { WebSocket } from 'ws';
import type { HubView } from '../../core/model/view.ts';
import type { Audience } from './audience.ts';
import type { Filter } from './filter.ts';

/** Above this much unsent, a viewer gets no more until it has caught up; what changes meanwhile comes as one delta. */
export const BEHIND_BYTES = 256 * 1024;
/** A viewer that is behind and reads less than PROGRESS_BYTES in this time is let go. */
const SLOW_AFTER_MS = 15_000;
const PROGRESS_BYTES = 64 * 1024;
const PULSE_EVERY_MS = 5_000;
/** A snapshot costs the most of all messages: a viewer gets one in this time at most. */
const SNAPSHOT_EVERY_MS = 1_000;

/** What a viewer needs of its WebSocket. */
export type ViewerSocket = Pick<WebSocket, 'bufferedAmount' | 'send' | 'close'>;

/** One connection's place in its audience. */
export class Viewer {
  readonly socket: ViewerSocket;
  audience: Audience | null = null;
  /** The filter it asked for last, while it waits for the time of its next snapshot. */
  wanted: Filter | null = null;
  #version = 0;
  #changed = new Set<string>();
  #removed = new Set<string>();
  #sentAtMs = 0;
  #joinedAtMs = Number.NEGATIVE_INFINITY;
  #mark: { atMs: number; unsent: number } | null = null;

  constructor(socket: ViewerSocket) {
    this.socket = socket;
  }

  /** Begins anew with a snapshot of an audience. */
  join(audience: Audience, hub: HubView): void {
    this.audience = audience;
    this.#joinedAtMs = hub.nowMs;
    this.#version = audience.version;
    this.#changed.clear();
    this.#removed.clear();
    this.#send(audience.snapshot(hub), hub.nowMs);
  }

  /** Whether it may have a snapshot now; a clock that was set back lets it. */
  isDue(nowMs: number): boolean {
    return nowMs < this.#joinedAtMs || nowMs - this.#joinedAtMs >= SNAPSHOT_EVERY_MS;
  }

  /** A version that this viewer hasn't got yet; `text` is for those who have the version before it. */
  offer(
    step: { changed: ReadonlySet<string>; removed: ReadonlySet<string> },
    text: string,
    hub: HubView,
  ): void {
    const { audience } = this;
    if (audience === null) return;
    if (!this.isBehind && this.#version === audience.version - 1) {
      this.#version = audience.version;
      this.#send(text, hub.nowMs);
      return;
    }
    for (const id of step.changed) this.#changed.add(id);
    for (const id of step.removed) this.#removed.add(id);
  }

  /** Once a tick: what was held back, a pulse when all is quiet, or the end of one that does not read. False when ended. */
  tend(hub: HubView): boolean {
    if (this.isBehind) return this.#isMoving(hub.nowMs);
    this.#mark = null;
    const { audience } = this;
    if (audience === null) return true;
    if (this.#version !== audience.version) {
      const text = audience.delta(this.#version, this.#changed, this.#removed, hub);
      this.#version = audience.version;
      this.#changed = new Set();
      this.#removed = new Set();
      this.#send(text, hub.nowMs);
    } else if (hub.nowMs - this.#sentAtMs >= PULSE_EVERY_MS || hub.nowMs < this.#sentAtMs) this.pulse(hub);
    return true;
  }

  pulse(hub: HubView): void {
    if (this.audience !== null && !this.isBehind)
      this.#send(this.audience.pulse(this.#version, hub), hub.nowMs);
  }

  get isBehind(): boolean {
    return this.socket.bufferedAmount > BEHIND_BYTES;
  }

  #isMoving(nowMs: number): boolean {
    const unsent = this.socket.bufferedAmount;
    if (this.#mark === null || unsent <= this.#mark.unsent - PROGRESS_BYTES)
      this.#mark = { atMs: nowMs, unsent };
    return nowMs - this.#mark.atMs < SLOW_AFTER_MS;
  }

  #send(text: string, nowMs: number): void {
    this.#sentAtMs = nowMs;
    this.socket.send(text);
  }
}
