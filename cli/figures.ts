/** Figures as people read them; what is not known is a dash. */
export function percent(ratio: number | null): string {
  return ratio === null ? '-' : `${Math.round(ratio * 100)}%`;
}

export function whole(value: number | null): string {
  return value === null ? '-' : String(Math.round(value));
}

/** "3s", "12m", "5h", "9d": the largest unit of a stretch of time. */
export function stretch(ms: number): string {
  const s = Math.max(0, Math.round(ms / 1000));
  if (s < 60) return `${s}s`;
  if (s < 3600) return `${Math.floor(s / 60)}m`;
  if (s < 172_800) return `${Math.floor(s / 3600)}h`;
  return `${Math.floor(s / 86_400)}d`;
}

export function ago(atMs: number | null, nowMs: number): string {
  return atMs === null ? 'never' : `${stretch(nowMs - atMs)} ago`;
}

/** ISO 8601 in UTC, to the second. */
export function moment(atMs: number): string {
  return new Date(atMs).toISOString().replace(/\.\d+Z$/, 'Z');
}

export function bytes(count: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];
  let value = count;
  let i = 0;
  for (; value >= 1000 && i < units.length - 1; i++) value /= 1000;
  return `${value >= 100 || i === 0 ? Math.round(value) : value.toFixed(1)} ${units[i]}`;
}

export function milliseconds(ms: number | undefined): string {
  if (ms === undefined) return '-';
  return ms >= 100 ? `${Math.round(ms)} ms` : `${ms.toFixed(1)} ms`;
}
