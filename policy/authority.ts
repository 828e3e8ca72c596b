import { type TableEntry, TableError, type TableName, type TableOwner } from '../core/ports/table.ts';
import { type Change, type Registry, toEntry } from './registry.ts';

export type Written = 'written' | 'fenced' | 'unavailable';

/**
 * Control's right to change its tables: one write at a time, and the registry moves on only when one is durable.
 * After `unavailable` nobody knows whether they were written, and an owner may be used up: control has to begin anew.
 */
export class Authority {
  readonly #owner: TableOwner;
  readonly #registry: Registry;
  readonly #onFenced: () => void;
  readonly #onUnavailable: () => void;
  #last: Promise<unknown> = Promise.resolve();

  constructor(owner: TableOwner, registry: Registry, onFenced: () => void, onUnavailable: () => void) {
    this.#owner = owner;
    this.#registry = registry;
    this.#onFenced = onFenced;
    this.#onUnavailable = onUnavailable;
  }

  write(changes: readonly Change[]): Promise<Written> {
    return this.decide(() => changes);
  }

  /** Changes that rest on the registry as it is when their turn comes, so that none of two deciders overwrites the other. */
  decide(make: () => readonly Change[]): Promise<Written> {
    return this.#inTurn(async () => {
      const changes = make();
      const written = await this.#write('resources', changes.map(toEntry));
      if (written === 'written') for (const change of changes) this.#registry.apply(change);
      return written;
    });
  }

  /** Signed documents. They follow from the registry, so that nothing else has to move on with them. */
  publish(table: 'specs' | 'targets', entries: readonly TableEntry[]): Promise<Written> {
    return this.#inTurn(() => this.#write(table, entries));
  }

  #inTurn(work: () => Promise<Written>): Promise<Written> {
    const writing = this.#last.then(work);
    this.#last = writing.catch(() => undefined);
    return writing;
  }

  async #write(table: TableName, entries: readonly TableEntry[]): Promise<Written> {
    try {
      if (entries.length > 0) await this.#owner.write(table, entries);
    } catch (error) {
      if (!(error instanceof TableError) || error.code === 'too-large') throw error;
      if (error.code !== 'fenced') {
        this.#onUnavailable();
        return 'unavailable';
      }
      this.#onFenced();
      return 'fenced';
    }
    return 'written';
  }

  async release(): Promise<void> {
    await this.#last;
    await this.#owner.release();
  }
}
