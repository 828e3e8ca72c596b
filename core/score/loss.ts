/** Points that a component loses to one named reason: a Penalty before it is known since when. */
export type Loss = { id: string; subject: string; points: number; observed: string };

/**
 * Adds a loss. Points are whole numbers, so that what is explained adds up to what is shown; under half a point is no
 * penalty, and then nothing is put into words.
 */
export function lose(
  losses: Loss[],
  id: string,
  subject: string,
  points: number,
  observed: () => string,
): void {
  if (points < 0.5) return;
  losses.push({ id, subject, points: Math.round(Math.min(100, points)), observed: observed() });
}

/** 0 up to `from`, 1 from `to` on, linear between. */
export function ramp(value: number, from: number, to: number): number {
  return Math.min(1, Math.max(0, (value - from) / (to - from)));
}

/** A part of a whole as 0 to 1, also when the figures contradict one another. Nothing of nothing is 0. */
export function share(part: number, whole: number): number {
  if (part <= 0) return 0;
  return part >= whole ? 1 : part / whole;
}

export function percent(ratio: number): string {
  const value = ratio * 100;
  return `${value > 0 && value < 10 ? Number(value.toFixed(1)) : Math.round(value)}%`;
}
