/** Points that a component loses to one named reason: a Penalty before it is known since when. */
export type Loss = { id: string; subject: string; points: number; observed: string };

/**
 * Points are whole numbers, so that what is explained adds up to what is shown. Under half a point is no penalty.
 */
export function loss(id: string, subject: string, points: number, observed: () => string): Loss[] {
  const whole = Math.round(Math.min(100, points));
  return whole < 1 ? [] : [{ id, subject, points: whole, observed: observed() }];
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
