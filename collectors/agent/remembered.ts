import type { Specs } from './specs.ts';
import { type AgentState, type Memory, readState, withoutUnused, withRefusal, writeState } from './state.ts';

/** The agent's state, durable before anybody sees it. A change that can't be kept did not happen, and throws. */
export class Remembered {
  readonly #memory: Memory;
  readonly #specs: Specs;
  #state: AgentState;

  constructor(memory: Memory, specs: Specs) {
    this.#memory = memory;
    this.#specs = specs;
    const read = readState(memory);
    // One that can't be read any more is asked for again.
    const readable = read.specs.filter(({ digest }) => specs.get(digest) !== null);
    this.#state = { ...read, specs: readable };
  }

  get state(): AgentState {
    return this.#state;
  }

  update(change: (state: AgentState) => AgentState): void {
    const changed = change(this.#state);
    if (changed === this.#state) return;
    const { state, unused } = withoutUnused(changed);
    writeState(this.#memory, state);
    this.#state = state;
    for (const digest of unused) this.#specs.forget(digest);
  }

  refuse(refusal: { key: string; code: string; detail: string }, nowMs: number): void {
    this.update((state) => withRefusal(state, refusal, nowMs));
  }
}
