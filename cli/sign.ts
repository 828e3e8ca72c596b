import type { HealthState } from '../core/model/score.ts';
import type { Freshness } from '../core/model/view.ts';

const SIGNS: Record<HealthState, { shape: string; word: string; sgr: string }> = {
  green: { shape: '●', word: 'healthy', sgr: '32' },
  orange: { shape: '▲', word: 'degraded', sgr: '33' },
  red: { shape: '■', word: 'failing', sgr: '31' },
  unknown: { shape: '?', word: 'unknown', sgr: '90' },
};

/** Puts an SGR colour around text, or leaves it as it is. */
export type Paint = (sgr: string, text: string) => string;

export function paintWith(color: boolean): Paint {
  return color ? (sgr, text) => `\u001b[${sgr}m${text}\u001b[0m` : (_sgr, text) => text;
}

/** A state told without colour, by a shape and a word; of an unknown one the word says why. */
export function signText(site: { state: HealthState; freshness?: Freshness }): string {
  const { shape, word } = SIGNS[site.state];
  const isUnheard = site.state === 'unknown' && site.freshness !== undefined && site.freshness !== 'heard';
  return `${shape} ${isUnheard ? site.freshness : word}`;
}

export function colorOf(state: HealthState): string {
  return SIGNS[state].sgr;
}
