/*
 * Names of the policies in force, and the addresses they have.
 *
 * - `watch` says which names are wanted from now on, asked for again as their records expire (5 s to 5 min). It settles once
 *   each new one was asked for, or after a few seconds. Addresses are
 *   united over time; one that was not seen for 24 h is forgotten, so that a resolver that fails cuts nobody.
 * - `known` is at hand before `start` has asked anybody: what was known survives a restart.
 * - The listener hears addresses that are new or due to be renewed, and settles once they are let through.
 */
export type Learned = { host: string; addresses: readonly string[]; keepS: number };

export interface NameResolver {
  start(): Promise<void>;
  watch(hosts: readonly string[]): Promise<void>;
  known(): ReadonlyMap<string, readonly string[]>;
  /** Names that were looked up for an address. */
  namesOf(address: string): readonly string[];
  onLearned(listener: (learned: Learned) => Promise<void>): void;
  stop(): Promise<void>;
}
