/** Figures of the pipeline itself, in Prometheus' terms. Names begin with `plumbline_`; the same name gives the same figure. */
export interface Metrics {
  counter(
    name: string,
    help: string,
    labels?: readonly string[],
  ): (labels?: Record<string, string>, by?: number) => void;
  gauge(
    name: string,
    help: string,
    labels?: readonly string[],
  ): (value: number, labels?: Record<string, string>) => void;
  histogram(
    name: string,
    help: string,
    bucketsS: readonly number[],
    labels?: readonly string[],
  ): (valueS: number, labels?: Record<string, string>) => void;
}
