import type { ReportRow, RowOf } from '../core/model/rows.ts';
import type { SiteState } from '../core/model/site-state.ts';
import type { LogRecord } from '../core/ports/log.ts';
import type { Refused } from './step.ts';

export type Source = { record: LogRecord; repeated: boolean };

/** All that one batch leads to, as values; nothing has happened yet. `stored + repeated + refused` are its records. */
export type Outcome = {
  reports: ReportRow[];
  /** Of each of `reports`, in the same order, what it was made of. */
  sources: Source[];
  policies: RowOf<'policy_report'>[];
  flows: RowOf<'flow'>[];
  gaps: RowOf<'gap'>[];
  events: RowOf<'event'>[];
  /** Minutes of the accepted reports; which of them were late shows once the rows are durable. */
  minutes: Set<number>;
  /** The newest state of each site that moved. */
  states: Map<string, SiteState>;
  refused: Refused[];
  stored: number;
  repeated: number;
};

export function emptyOutcome(): Outcome {
  return {
    reports: [],
    sources: [],
    policies: [],
    flows: [],
    gaps: [],
    events: [],
    minutes: new Set(),
    states: new Map(),
    refused: [],
    stored: 0,
    repeated: 0,
  };
}
