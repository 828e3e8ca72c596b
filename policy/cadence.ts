import { SETTLED_AFTER_MS } from './evidence/evidence.ts';

/** A stage is not looked at more often than this, however short its sites' intervals are. */
const LEAST_BETWEEN_MS = 1_000;
/** Evaluating may take an eleventh of the time, unless a site shows a fail. */
const REST_FACTOR = 10;
/** How long what a site shows may take to be found in the store. */
const RUSH_MS = 2 * SETTLED_AFTER_MS;

/** What is to be evaluated: which stage, and how many of its sites show a fail by what they say themselves. */
export type Subject = { rollout: string; stageKey: string; showing: number };
type Look = Subject & { atMs: number; restMs: number; rushUntilMs: number };

/**
 * How often the evidence of a stage is asked for: once an interval of its sites, or as seldom as that is dear; and at once
 * when one more site shows a fail, until that must be in the store.
 */
export class Cadence {
  /** The newest look at each rollout. */
  readonly #looks = new Map<string, Look>();

  keep(isThere: (rollout: string) => boolean): void {
    for (const rollout of this.#looks.keys()) if (!isThere(rollout)) this.#looks.delete(rollout);
  }

  isRushed(subject: Subject, nowMs: number): boolean {
    const last = this.#last(subject);
    if (last === undefined) return subject.showing > 0;
    const isNew = subject.showing > last.showing || nowMs <= last.rushUntilMs;
    return isNew && nowMs - last.atMs >= LEAST_BETWEEN_MS;
  }

  isDue(subject: Subject, intervalMs: () => number, nowMs: number): boolean {
    const last = this.#last(subject);
    if (last === undefined || nowMs < last.atMs || this.isRushed(subject, nowMs)) return true;
    const sinceMs = nowMs - last.atMs;
    return sinceMs >= Math.max(LEAST_BETWEEN_MS, last.restMs) && sinceMs >= intervalMs();
  }

  note(subject: Subject, tookMs: number, nowMs: number): void {
    const last = this.#last(subject);
    const isMore = subject.showing > (last?.showing ?? 0);
    const rushUntilMs = isMore ? nowMs + RUSH_MS : (last?.rushUntilMs ?? 0);
    this.#looks.set(subject.rollout, {
      ...subject,
      atMs: nowMs,
      restMs: REST_FACTOR * tookMs,
      rushUntilMs,
    });
  }

  /** The last look at this very stage. */
  #last({ rollout, stageKey }: Subject): Look | undefined {
    const last = this.#looks.get(rollout);
    return last?.stageKey === stageKey ? last : undefined;
  }
}
