/*
 * Figures as text. The same on every machine: no locale, a unit on everything that has one, and a dash for what was not
 * observed. Thousands are set apart by a narrow space, as ISO 80000-1 has it.
 */

import { plural } from '../../core/plural.ts';

const NOT_OBSERVED = '–';
const NARROW = '\u202f';

export function count(value: number): string {
  return String(Math.round(value)).replace(/\B(?=(\d{3})+(?!\d))/g, NARROW);
}

/** Of a ratio from 0 to 1. */
export function percent(ratio: number | null | undefined): string {
  if (ratio === null || ratio === undefined) return NOT_OBSERVED;
  const value = ratio * 100;
  if (value > 0 && value < 0.5) return '<1%';
  if (value < 100 && value > 99.5) return '>99%';
  return `${Math.round(value)}%`;
}

export function bytes(value: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
  let scaled = value;
  let unit = 0;
  while (scaled >= 1024 && unit < units.length - 1) {
    scaled /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? scaled : significant(scaled)} ${units[unit]}`;
}

export function milliseconds(value: number | null | undefined): string {
  if (value === null || value === undefined) return NOT_OBSERVED;
  return value < 1000 ? `${significant(value)} ms` : `${significant(value / 1000)} s`;
}

/** Two parts at most: "3 min 20 s", "2 d 4 h". */
export function duration(ms: number): string {
  const totalS = Math.max(0, Math.floor(ms / 1000));
  const parts: [number, string][] = [
    [Math.floor(totalS / 86_400), 'd'],
    [Math.floor(totalS / 3600) % 24, 'h'],
    [Math.floor(totalS / 60) % 60, 'min'],
    [totalS % 60, 's'],
  ];
  const first = parts.findIndex(([amount]) => amount > 0);
  if (first === -1) return '0 s';
  return parts
    .slice(first, first + 2)
    .filter(([amount], index) => index === 0 || amount > 0)
    .map(([amount, unit]) => `${amount} ${unit}`)
    .join(' ');
}

/** One part: "12 s", "3 min". */
export function age(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 90) return `${seconds} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86_400)} d`;
}

/** In the viewer's own time zone: 14:03:22 */
export function clockTime(ms: number): string {
  const date = new Date(ms);
  return [date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(':');
}

/** In the viewer's own time zone: 2026-02-01 14:03:22 */
export function dateTime(ms: number): string {
  const date = new Date(ms);
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${clockTime(ms)}`;
}

/** One decimal where there is one: "18", "7.5". */
export function points(value: number): string {
  return String(Math.round(value * 10) / 10);
}

/** As core has it, with thousands set apart. */
export function counted(amount: number, one: string, many?: string): string {
  return plural(amount, one, many, count);
}

function significant(value: number): string {
  if (value >= 100) return count(value);
  if (value >= 10) return value.toFixed(1).replace(/\.0$/, '');
  return value.toFixed(2).replace(/\.?0+$/, '');
}

function two(value: number): string {
  return String(value).padStart(2, '0');
}
