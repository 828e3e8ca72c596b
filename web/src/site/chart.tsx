import { useState } from 'preact/hooks';
import { clockTime, dateTime } from '../format.ts';

const WIDTH = 300;
const HEIGHT = 64;
const DAY_MS = 86_400_000;

type ChartPoint = { atMs: number; value: number | null };

/** A small line over time, from 0 to `max`, with holes where there is no point. Pointing at it reads it off. */
export function Chart({
  title,
  points,
  fromMs,
  toMs,
  stepMs,
  max,
  format,
}: {
  title: string;
  points: readonly ChartPoint[];
  fromMs: number;
  toMs: number;
  stepMs: number;
  max: number;
  format: (value: number) => string;
}) {
  const [pointed, setPointed] = useState<ChartPoint | null>(null);
  const x = (ms: number) => ((ms - fromMs) / (toMs - fromMs)) * WIDTH;
  const y = (value: number) => HEIGHT - 1 - (value / max) * (HEIGHT - 2);
  const known = points.filter((point): point is { atMs: number; value: number } => point.value !== null);
  const read = pointed ?? known.at(-1) ?? null;
  const time = toMs - fromMs > DAY_MS ? dateTime : clockTime;
  return (
    <figure class="chart">
      <figcaption>
        <span>{title}</span>
        <span class="figure">
          {read?.value === null || read === null ? '–' : format(read.value)}
          {pointed !== null && <span class="muted"> at {time(pointed.atMs)}</span>}
        </span>
      </figcaption>
      <svg
        viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
        preserveAspectRatio="none"
        role="img"
        aria-label={summary(title, known, format)}
        onPointerMove={(event) => {
          const box = event.currentTarget.getBoundingClientRect();
          const atMs = fromMs + ((event.clientX - box.left) / box.width) * (toMs - fromMs);
          setPointed(nearest(points, atMs, stepMs));
        }}
        onPointerLeave={() => setPointed(null)}
      >
        <path class="grid" d={`M0 1H${WIDTH}M0 ${HEIGHT / 2}H${WIDTH}M0 ${HEIGHT - 1}H${WIDTH}`} />
        <path class="line" d={linePath(points, stepMs, x, y)} />
        {pointed !== null && <path class="pointer" d={`M${x(pointed.atMs)} 0V${HEIGHT}`} />}
      </svg>
      <div class="chart-ends muted">
        <span>{time(fromMs)}</span>
        <span>{time(toMs)}</span>
      </div>
    </figure>
  );
}

/** Drawn through neighbours only: a step without a point lifts the pen. A lonely point is a short dash. */
function linePath(
  points: readonly ChartPoint[],
  stepMs: number,
  x: (ms: number) => number,
  y: (value: number) => number,
): string {
  let path = '';
  let before: number | null = null;
  for (const { atMs, value } of points) {
    if (value === null) {
      before = null;
      continue;
    }
    const joined = before !== null && atMs - before <= stepMs * 1.5;
    path += `${joined ? 'L' : 'M'}${x(atMs).toFixed(1)} ${y(value).toFixed(1)}`;
    if (!joined) path += 'h2';
    before = atMs;
  }
  return path;
}

function nearest(points: readonly ChartPoint[], atMs: number, stepMs: number): ChartPoint | null {
  let best: ChartPoint | null = null;
  for (const point of points)
    if (best === null || Math.abs(point.atMs - atMs) < Math.abs(best.atMs - atMs)) best = point;
  return best !== null && Math.abs(best.atMs - atMs) <= stepMs ? best : null;
}

function summary(
  title: string,
  known: readonly { value: number }[],
  format: (value: number) => string,
): string {
  const values = known.map((point) => point.value);
  const last = values.at(-1);
  if (last === undefined) return `${title}: nothing known`;
  const [low, high] = [Math.min(...values), Math.max(...values)];
  return `${title}: now ${format(last)}, from ${format(low)} to ${format(high)} in this time`;
}
