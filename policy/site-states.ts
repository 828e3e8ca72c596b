import { Compile } from 'typebox/compile';
import { SiteState } from '../core/model/site-state.ts';
import type { TableView } from '../core/ports/table.ts';

const validator = Compile(SiteState);

/** Table `state` as control reads it: parsed once for each change, and only when asked. */
export class SiteStates {
  readonly #view: TableView;
  readonly #states = new Map<string, SiteState>();
  readonly #changed: Set<string>;
  readonly #stopListening: () => void;

  constructor(view: TableView) {
    this.#view = view;
    this.#changed = new Set([...view.entries()].map(([key]) => key));
    this.#stopListening = view.onChange((keys) => {
      for (const key of keys) this.#changed.add(key);
    });
  }

  get all(): ReadonlyMap<string, SiteState> {
    return this.#states;
  }

  /** Takes in what changed; gives the sites of it, and the keys whose value can't be read (they keep what was known). */
  refresh(): { changed: string[]; unreadable: string[] } {
    const changed = [...this.#changed];
    const unreadable: string[] = [];
    this.#changed.clear();
    for (const key of changed) {
      const value = this.#view.get(key);
      if (value === undefined) {
        this.#states.delete(key);
        continue;
      }
      const state = parse(value);
      if (state === null) unreadable.push(key);
      else this.#states.set(key, state);
    }
    return { changed, unreadable };
  }

  async close(): Promise<void> {
    this.#stopListening();
    await this.#view.close();
  }
}

function parse(value: Uint8Array): SiteState | null {
  try {
    const json: unknown = JSON.parse(Buffer.from(value).toString('utf8'));
    return validator.Check(json) ? json : null;
  } catch {
    return null;
  }
}
