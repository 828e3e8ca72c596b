import type { Clock } from '../../core/ports/clock.ts';

const MOST_MS = 5 * 60_000;

export type DriftWatch = {
  /** What the last reading found, newest 4 differences. Says whether to put it right now. */
  found(differences: readonly string[]): 'nothing' | 'repair' | 'wait';
  /** The dataplane was changed on purpose. */
  forget(): void;
  differences(): string[];
  isHeld(): boolean;
};

/**
 * Puts drift right at once, and ever more rarely where somebody keeps undoing it: the wait doubles from two intervals up to
 * five minutes, and begins anew once nothing was changed for as long as the last wait.
 */
export function createDriftWatch(clock: Clock, intervalMs: number): DriftWatch {
  const leastMs = Math.min(MOST_MS, 2 * intervalMs);
  let waitMs = 0;
  let repairedAt: number | null = null;
  let found: string[] = [];
  return {
    found(differences) {
      found = differences.slice(0, 4).map((text) => text.slice(0, 200));
      const now = clock.monoMs();
      if (differences.length === 0) {
        if (repairedAt !== null && now - repairedAt > 2 * waitMs) {
          waitMs = 0;
          repairedAt = null;
        }
        return 'nothing';
      }
      if (repairedAt !== null && now - repairedAt < waitMs) return 'wait';
      waitMs = repairedAt === null ? leastMs : Math.min(MOST_MS, 2 * waitMs);
      repairedAt = now;
      return 'repair';
    },
    forget() {
      found = [];
    },
    differences: () => found,
    isHeld: () => found.length > 0 && waitMs > leastMs,
  };
}
