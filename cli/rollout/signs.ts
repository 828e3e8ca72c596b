import type { Sign } from '../../core/rollout-words.ts';
import type { Paint } from '../sign.ts';

const COLORS: Readonly<Record<Sign['tone'], string>> = {
  good: '32',
  doubtful: '33',
  bad: '31',
  moving: '36',
  quiet: '90',
};

export function signOf({ shape, word }: Sign): string {
  return `${shape} ${word}`;
}

export function paintSign(sign: Sign, paint: Paint, text = signOf(sign)): string {
  return paint(COLORS[sign.tone], text);
}
