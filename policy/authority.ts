import { TableError, type TableOwner } from '../core/ports/table.ts';
import { type Change, type Registry, toEntry } from './registry.ts';

export type Written = 'written' | 'fenced' | 'unavailable';

/**
 * Control's right to change table `resources`: one write at a time, and the registry moves on only when one is durable.
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
    const writing = this.#last.then(() => this.#write(changes));
    this.#last = writing.catch(() => undefined);
    return writing;
  }

  async #write(changes: readonly Change[]): Promise<Written> {
    try {
      if (changes.length > 0) await this.#owner.write('resources', changes.map(toEntry));
    } catch (error) {
      if (!(error instanceof TableError) || error.code === 'too-large') throw error;
      if (error.code !== 'fenced') {
        this.#onUnavailable();
        return 'unavailable';
      }
      this.#onFenced();
      return 'fenced';
    }
    for (const change of changes) this.#registry.apply(change);
    return 'written';
  }

  async release(): Promise<void> {
    await this.#last;
    await this.#owner.release();
  }
}
