import type { Metrics } from '../core/ports/metrics.ts';
import type { Outcome } from './outcome.ts';

const BATCH_BUCKETS_S = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** What the aggregator says of itself. Records read = stored + repeated + quarantined. */
export interface Figures {
  batch(outcome: Outcome, seconds: number): void;
  lag(records: number): void;
  remembered(sites: number): void;
  skipped(records: number): void;
  fenced(): void;
}

export function createFigures(metrics: Metrics): Figures {
  const reports = metrics.counter('plumbline_reports_total', 'Records read, by what became of them', [
    'outcome',
  ]);
  const quarantined = metrics.counter('plumbline_quarantined_total', 'Records refused, by reason', [
    'reason',
  ]);
  const batchSeconds = metrics.histogram(
    'plumbline_aggregator_batch_seconds',
    'From a batch in hand to its position committed',
    BATCH_BUCKETS_S,
  );
  const lag = metrics.gauge('plumbline_aggregator_lag_records', 'Records appended but not yet committed');
  const remembered = metrics.gauge('plumbline_aggregator_sites', 'Sites that are remembered');
  const skipped = metrics.counter(
    'plumbline_log_skipped_total',
    'Records that retention took before they were read',
  );
  const fenced = metrics.counter(
    'plumbline_aggregator_fenced_total',
    'Batches that another aggregator took over',
  );
  return {
    batch(outcome, seconds) {
      if (outcome.stored > 0) reports({ outcome: 'stored' }, outcome.stored);
      if (outcome.repeated > 0) reports({ outcome: 'repeated' }, outcome.repeated);
      if (outcome.refused.length > 0) reports({ outcome: 'quarantined' }, outcome.refused.length);
      for (const { refusal } of outcome.refused) quarantined({ reason: refusal.reason });
      batchSeconds(seconds);
    },
    lag,
    remembered,
    skipped: (records) => skipped({}, records),
    fenced: () => fenced(),
  };
}
