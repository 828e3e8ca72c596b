import { minuteOf, newRanges } from '../core/account.ts';
import type { DroppedRange } from '../core/model/report.ts';
import type { RowOf } from '../core/model/rows.ts';
import { changeEvents, eventRow, gapEvent } from './events.ts';
import type { Outcome } from './outcome.ts';
import { policyEvents } from './policy-events.ts';
import { flowRows, policyRows } from './policy-rows.ts';
import { reportRow } from './report-row.ts';
import type { Judged } from './score.ts';
import type { Refused } from './step.ts';

/**
 * Fifth step: what a report adds to the outcome. Only a report that moves its site's state tells events, so that a late
 * or repeated one fires nothing; gaps are written whoever says so.
 */
export function addRows(judged: Judged, outcome: Outcome): void {
  const { report, record, previous, state } = judged;
  const { repeated } = judged;
  outcome.reports.push(reportRow(judged));
  outcome.sources.push({ record, repeated });
  if (repeated) outcome.repeated++;
  else outcome.stored++;
  outcome.policies.push(...policyRows(judged));
  outcome.flows.push(...flowRows(judged));
  outcome.minutes.add(minuteOf(report.ts));
  if (report.dropped.length > 0) {
    const told = state === null ? [] : (previous?.dropped ?? []);
    for (const range of newRanges(report.dropped, told)) {
      if (range.to < range.from) continue;
      outcome.gaps.push(gapRow(report.site, range, record.appendedAtMs));
      if (state !== null) outcome.events.push(eventRow(gapEvent(state, range)));
    }
  }
  if (state === null) return;
  for (const event of changeEvents(previous, state)) outcome.events.push(eventRow(event));
  for (const event of policyEvents(previous, state, report)) outcome.events.push(eventRow(event));
  outcome.states.set(report.site, state);
}

/** What a refused report adds: the ranges that its site has no other occasion to tell. */
export function addGapsOf({ record, refusal }: Refused, outcome: Outcome): void {
  for (const range of refusal.dropped)
    if (range.to >= range.from) outcome.gaps.push(gapRow(record.key, range, record.appendedAtMs));
}

function gapRow(site: string, { boot, from, to }: DroppedRange, noticedAtMs: number): RowOf<'gap'> {
  return { site, boot, from_seq: from, to_seq: to, noticed_at: noticedAtMs };
}
