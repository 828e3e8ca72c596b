import { useEffect, useState } from 'preact/hooks';
import type { SiteHistory } from '../../../core/model/view.ts';
import { percent } from '../format.ts';
import { getHistory } from '../hub.ts';
import { Chart } from './chart.tsx';
import { Panel } from './panel.tsx';

const HOUR_MS = 3_600_000;
const RANGES = [
  { name: '1 h', spanMs: HOUR_MS, stepMs: 60_000 },
  { name: '6 h', spanMs: 6 * HOUR_MS, stepMs: 60_000 },
  { name: '24 h', spanMs: 24 * HOUR_MS, stepMs: 300_000 },
  { name: '7 d', spanMs: 168 * HOUR_MS, stepMs: HOUR_MS },
] as const;
type Range = (typeof RANGES)[number];
const RENEW_MS = 30_000;

type Shown = { history: SiteHistory; fromMs: number; toMs: number };

/** Score, CPU and memory over time. Where nothing was heard there is a hole. */
export function History({ id }: { id: string }) {
  const [range, setRange] = useState<Range>(RANGES[0]);
  const [shown, setShown] = useState<Shown | null>(null);
  const [trouble, setTrouble] = useState<string | null>(null);
  useEffect(() => {
    let current = true;
    const ask = async () => {
      const toMs = Date.now();
      const fromMs = toMs - range.spanMs;
      const answer = await getHistory(id, { fromMs, toMs, stepMs: range.stepMs });
      if (!current) return;
      if (answer.ok) setShown({ history: answer.value, fromMs, toMs });
      setTrouble(answer.ok ? null : answer.detail);
    };
    void ask();
    const timer = setInterval(ask, RENEW_MS);
    return () => {
      current = false;
      clearInterval(timer);
    };
  }, [id, range]);
  return (
    <Panel title="History" shape="wide" aside={<Ranges range={range} onRange={setRange} />}>
      {trouble !== null && <p class="trouble-text">{trouble}</p>}
      {shown !== null && <Charts {...shown} />}
    </Panel>
  );
}

function Charts({ history, fromMs, toMs }: Shown) {
  const { points, stepMs } = history;
  if (points.length === 0) return <p class="muted">Nothing was stored in this time.</p>;
  const series = (pick: (point: SiteHistory['points'][number]) => number | null) =>
    points.map((point) => ({ atMs: point.atMs, value: pick(point) }));
  const common = { fromMs, toMs, stepMs };
  return (
    <div class="charts">
      <Chart title="Score, lowest" points={series((p) => p.score)} max={100} format={String} {...common} />
      <Chart title="CPU, highest" points={series((p) => p.cpu)} max={1} format={percent} {...common} />
      <Chart title="Memory, highest" points={series((p) => p.memory)} max={1} format={percent} {...common} />
    </div>
  );
}

function Ranges({ range, onRange }: { range: Range; onRange: (range: Range) => void }) {
  return (
    <fieldset class="ranges">
      <legend class="unseen">Time range</legend>
      {RANGES.map((one) => (
        <button key={one.name} type="button" aria-pressed={one === range} onClick={() => onRange(one)}>
          {one.name}
        </button>
      ))}
    </fieldset>
  );
}
