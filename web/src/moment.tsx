import { age, clockTime, dateTime } from './format.ts';

/** A point in time in the viewer's zone, with UTC for whoever points at it. */
export function Moment({ ms, short = false }: { ms: number; short?: boolean }) {
  const utc = new Date(ms).toISOString();
  return (
    <time dateTime={utc} title={`${utc.slice(0, 19).replace('T', ' ')} UTC`}>
      {short ? clockTime(ms) : dateTime(ms)}
    </time>
  );
}

/** How long ago, with the moment for whoever points at it. */
export function Age({ ms, nowMs }: { ms: number; nowMs: number }) {
  return (
    <time dateTime={new Date(ms).toISOString()} title={dateTime(ms)}>
      {age(nowMs - ms)}
    </time>
  );
}
