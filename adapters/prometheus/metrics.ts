import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { Metrics } from '../../core/ports/metrics.ts';

const NAME = /^plumbline_[a-z0-9_]+$/;

/** Figures in Prometheus' text format. Asking for a name again gives the figure that has it; as another sort it throws. */
export function createMetrics(): Metrics & { expose(): Promise<string>; contentType: string } {
  const registry = new Registry();
  const counters = new Map<string, Counter>();
  const gauges = new Map<string, Gauge>();
  const histograms = new Map<string, Histogram>();

  /** The figure of that name, made when it is new. prom-client itself refuses a name that has another sort. */
  function figure<F>(figures: Map<string, F>, name: string, make: () => F): F {
    if (!NAME.test(name)) throw new Error(`a figure is named plumbline_..., not ${name}`);
    const known = figures.get(name);
    if (known !== undefined) return known;
    const made = make();
    figures.set(name, made);
    return made;
  }

  return {
    counter(name, help, labels = []) {
      const options = { name, help, labelNames: [...labels], registers: [registry] };
      const counter = figure(counters, name, () => new Counter(options));
      return (values = {}, by = 1) => counter.inc(values, by);
    },
    gauge(name, help, labels = []) {
      const options = { name, help, labelNames: [...labels], registers: [registry] };
      const gauge = figure(gauges, name, () => new Gauge(options));
      return (value, values = {}) => gauge.set(values, value);
    },
    histogram(name, help, bucketsS, labels = []) {
      const options = { name, help, buckets: [...bucketsS], labelNames: [...labels], registers: [registry] };
      const histogram = figure(histograms, name, () => new Histogram(options));
      return (valueS, values = {}) => histogram.observe(values, valueS);
    },
    expose: () => registry.metrics(),
    contentType: registry.contentType,
  };
}
