import type { FleetEvent } from '../core/model/event.ts';
import type { Store } from '../core/ports/store.ts';
import { eventRow } from './event-row.ts';

/**
 * Events of what is decided, until the store has confirmed them. One that it did not confirm may be there all the same, so
 * it is told again as it was: the store keeps one of the same id and time. Who decides asks `isEmpty` first and decides
 * nothing new meanwhile, which bounds it.
 */
export class Untold {
  readonly #store: Pick<Store, 'insert'>;
  readonly #events: FleetEvent[] = [];
  #telling: Promise<void> | null = null;

  constructor(store: Pick<Store, 'insert'>) {
    this.#store = store;
  }

  get isEmpty(): boolean {
    return this.#events.length === 0;
  }

  add(...events: readonly FleetEvent[]): void {
    this.#events.push(...events);
  }

  /** Tells all that there are, in their order. Rejects when the store did not confirm them: they are told again next time. */
  async tell(): Promise<void> {
    while (!this.isEmpty) {
      this.#telling ??= this.#tell().finally(() => {
        this.#telling = null;
      });
      await this.#telling;
    }
  }

  async #tell(): Promise<void> {
    const events = this.#events.slice();
    await this.#store.insert('event', events.map(eventRow));
    this.#events.splice(0, events.length);
  }
}
