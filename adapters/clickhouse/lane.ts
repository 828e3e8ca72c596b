import { StoreError } from '../../core/ports/store.ts';

/** Reads that may wait for a lane; more than that is overload, which waiting does not cure. */
const MAX_WAITING = 256;

/**
 * Hands out a lane's clients, one to a read at a time, to readers in the order they came. As many reads run at once as
 * the lane has clients: calls through one client are serialised, so sharing one would only hide the queue.
 */
export class Lane<C> {
  readonly #free: C[];
  readonly #waiting: { give: (client: C) => void; refuse: (error: StoreError) => void }[] = [];
  #closed = false;

  constructor(clients: readonly C[]) {
    this.#free = [...clients];
  }

  async run<R>(read: (client: C) => Promise<R>): Promise<R> {
    const client = await this.#take();
    try {
      return await read(client);
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free.push(client);
      else next.give(client);
    }
  }

  /** Refuses whoever waits and whoever comes; what runs goes on. */
  close(): void {
    this.#closed = true;
    for (const { refuse } of this.#waiting.splice(0))
      refuse(new StoreError('closed', 'the store was stopped'));
  }

  #take(): Promise<C> {
    if (this.#closed) return Promise.reject(new StoreError('closed', 'the store was stopped'));
    const client = this.#free.pop();
    if (client !== undefined) return Promise.resolve(client);
    if (this.#waiting.length >= MAX_WAITING)
      return Promise.reject(new StoreError('limit', `${MAX_WAITING} reads wait already`));
    return new Promise((give, refuse) => this.#waiting.push({ give, refuse }));
  }
}
