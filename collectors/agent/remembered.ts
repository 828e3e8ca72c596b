import { SpoolError } from '../../core/ports/spool.ts';
import type { Specs } from './specs.ts';
import { type AgentState, type Memory, readState, withoutUnused, withRefusal, writeState } from './state.ts';

/** The agent's state, durable before anybody sees it. A change that can't be kept did not happen, and throws. */
export class Remembered {
  readonly #memory: Memory;
  readonly #specs: Specs;
  #state: AgentState;
  #isUnkept = false;

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
    if (changed === this.#state && !this.#isUnkept) return;
    const { state, unused } = withoutUnused(changed);
    writeState(this.#memory, state);
    this.#state = state;
    this.#isUnkept = false;
    for (const digest of unused) this.#specs.forget(digest);
  }

  /**
   * As `update`, for what has happened already: where the disk is full it holds for this process, and is kept as soon as
   * there is room. False when it is not kept yet.
   */
  note(change: (state: AgentState) => AgentState): boolean {
    try {
      this.update(change);
      return true;
    } catch (error) {
      if (!isFull(error)) throw error;
      this.#state = change(this.#state);
      this.#isUnkept = true;
      return false;
    }
  }

  catchUp(): void {
    if (this.#isUnkept) this.note((state) => state);
  }

  refuse(refusal: { key: string; code: string; detail: string }, nowMs: number): void {
    this.update((state) => withRefusal(state, refusal, nowMs));
  }
}

export function isFull(error: unknown): error is SpoolError {
  return error instanceof SpoolError && error.code === 'full';
}
