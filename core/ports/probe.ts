import type { Report } from '../model/report.ts';
import type { Labels } from '../model/site.ts';

/** What a probe saw: parts of a report, and labels it discovered. */
export type Observation = {
  parts: Partial<Pick<Report, 'host' | 'links' | 'nodes' | 'workloads' | 'security' | 'policy'>>;
  discovered?: Labels;
  /** Observations it knows it missed since it was last read. */
  lost: number;
};

/*
 * Reads one aspect of a site.
 *
 * - `read` is called once an interval and never twice at a time. It gives what is known now without waiting for slow
 *   things: a probe that measures over time does so between reads. It must settle before the signal aborts; a probe that
 *   throws or is aborted is reported as failed, with its message, and the report goes out without its part.
 * - Totals are cumulative with an epoch; a probe never reports a delta.
 */
export interface Probe {
  readonly name: string;
  start(): Promise<void>;
  read(signal: AbortSignal): Promise<Observation>;
  stop(): Promise<void>;
}
