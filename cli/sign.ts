import { HEALTH_WORDS, type HealthState } from '../core/model/score.ts';
import type { Freshness } from '../core/model/view.ts';

const SIGNS: Record<HealthState, { shape: string; sgr: string }> = {
  green: { shape: '●', sgr: '32' },
  orange: { shape: '▲', sgr: '33' },
  red: { shape: '■', sgr: '31' },
  unknown: { shape: '◇', sgr: '90' },
};

/** Puts an SGR colour around text, or leaves it as it is. */
export type Paint = (sgr: string, text: string) => string;

export function paintWith(color: boolean): Paint {
  return color ? (sgr, text) => `\u001b[${sgr}m${text}\u001b[0m` : (_sgr, text) => text;
}

/** A state told without colour, by a shape and a word; of an unknown one the word says why. */
export function signText(site: { state: HealthState; freshness?: Freshness }): string {
  const { shape } = SIGNS[site.state];
  const isUnheard = site.state === 'unknown' && site.freshness !== undefined && site.freshness !== 'heard';
  return `${shape} ${isUnheard ? site.freshness : HEALTH_WORDS[site.state]}`;
}

export function colorOf(state: HealthState): string {
  return SIGNS[state].sgr;
}
