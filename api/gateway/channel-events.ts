import type { EventKind } from '../../core/model/event.ts';
import type { RowOf } from '../../core/model/rows.ts';
import type { Clock } from '../../core/ports/clock.ts';
import type { Logger } from '../../core/ports/logger.ts';
import type { Metrics } from '../../core/ports/metrics.ts';
import type { Store } from '../../core/ports/store.ts';

const FLUSH_EVERY_MS = 1000;
const MINUTE_MS = 60_000;
const MAX_WAITING = 1000;
/** Different events a minute; a fleet that is refused as a whole says so by its first thousand sites. */
const MAX_A_MINUTE = 1000;

/**
 * Tells people about channels that were refused or closed: one event a site, reason and minute, however often it happens.
 * The id says exactly that, so that other api roles and repeats write the same one.
 */
export class ChannelEvents {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #dropped: () => void;
  #waiting: RowOf<'event'>[] = [];
  #said = new Set<string>();
  #saidMinute = 0;
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> | null = null;

  constructor(parts: { store: Store; clock: Clock; logger: Logger; metrics: Metrics }) {
    this.#store = parts.store;
    this.#clock = parts.clock;
    this.#logger = parts.logger;
    this.#dropped = parts.metrics.counter(
      'plumbline_gateway_events_dropped_total',
      'Events of the gateway that were not written because there were too many',
    );
  }

  /** `site` is empty when it is none that the hub knows, so that made-up names can't flood the store. */
  say(
    kind: Extract<EventKind, 'channel.refused' | 'channel.closed'>,
    site: string,
    code: string,
    message: string,
  ): void {
    const nowMs = this.#clock.nowMs();
    const minuteMs = Math.floor(nowMs / MINUTE_MS) * MINUTE_MS;
    if (minuteMs !== this.#saidMinute) this.#said = new Set();
    this.#saidMinute = minuteMs;
    const id = `${kind}/${site}/${code}/${minuteMs}`;
    if (this.#said.has(id)) return;
    if (this.#said.size >= MAX_A_MINUTE || this.#waiting.length >= MAX_WAITING) {
      this.#dropped();
      return;
    }
    this.#said.add(id);
    // At the minute's start, because the row's identity is (at, id).
    const at = minuteMs;
    this.#waiting.push({ id, at, kind, severity: 'warning', site, virtual_site: '', by: '', message });
    this.#timer ??= setTimeout(() => this.#flush(), FLUSH_EVERY_MS);
  }

  /** Writes what still waits, once. */
  async stop(): Promise<void> {
    clearTimeout(this.#timer);
    await this.#writing;
    await this.#write();
  }

  #flush(): void {
    this.#timer = undefined;
    this.#writing ??= this.#write().finally(() => {
      this.#writing = null;
      if (this.#waiting.length > 0) this.#timer ??= setTimeout(() => this.#flush(), FLUSH_EVERY_MS);
    });
  }

  async #write(): Promise<void> {
    if (this.#waiting.length === 0) return;
    const rows = this.#waiting;
    this.#waiting = [];
    try {
      await this.#store.insert('event', rows);
    } catch (error) {
      this.#logger.warn({ err: error, events: rows.length }, 'gateway.events.waiting');
      this.#waiting = [...rows, ...this.#waiting].slice(0, MAX_WAITING);
    }
  }
}
