import type { Clock } from './ports/clock.ts';

/** The hub's clock as a site knows it. */
export type CorrectedTime = {
  /** Epoch ms; never below an earlier answer of this boot, but for what the hub itself corrected. */
  nowMs(): number;
  /** Hub's clock less this machine's, as contained in `nowMs`; null before the site ever spoke to its hub. */
  offsetMs(): number | null;
};

/**
 * With a hub measured in this boot its offset rules, and time may go back by as much as a measurement corrects the last.
 * Before that, the offset of an earlier boot is applied to the wall clock: a step forward is believed (a machine without
 * a battery learns the date after it started), one backward is bridged by the monotonic clock.
 */
export function createCorrectedTime(
  clock: Clock,
  measuredMs: () => number | null,
  rememberedMs: number | null,
): CorrectedTime {
  let last = { ms: Number.NEGATIVE_INFINITY, monoMs: 0 };
  return {
    nowMs() {
      const monoMs = clock.monoMs();
      const measured = measuredMs();
      const wallMs = clock.nowMs() + (measured ?? rememberedMs ?? 0);
      const ms = measured === null ? Math.max(wallMs, last.ms + (monoMs - last.monoMs)) : wallMs;
      last = { ms, monoMs };
      return Math.round(ms);
    },
    offsetMs: () => measuredMs() ?? rememberedMs,
  };
}
