import { isLate } from '../core/account.ts';
import type { ReportRow, RowOf } from '../core/model/rows.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { Store } from '../core/ports/store.ts';
import type { Table } from '../core/ports/table.ts';
import { eventRow, refusalEvent } from './events.ts';
import type { Memory } from './memory.ts';
import type { Outcome } from './outcome.ts';
import { quarantineRow } from './quarantine-row.ts';
import { insertSifting } from './sift.ts';
import { refuse } from './step.ts';

/**
 * Makes the rows of a batch durable: one insert a table, and only where there is something. May be done again. A report that
 * the store never takes goes to quarantine; of what else it does not take nothing can be left out, so that rejects.
 */
export async function insertRows(outcome: Outcome, store: Store, clock: Clock): Promise<void> {
  if (outcome.reports.length > 0) turnAway(await insertSifting(store, outcome.reports), outcome);
  const { refused, policies, flows, gaps, events, minutes } = outcome;
  if (policies.length > 0) await store.insert('policy_report', policies);
  if (flows.length > 0) await store.insert('flow', flows);
  if (refused.length > 0) await store.insert('quarantine', refused.map(quarantineRow));
  if (gaps.length > 0) await store.insert('gap', gaps);
  if (events.length > 0) await store.insert('event', events);
  // Judged and stamped after the rows are there: a minute may have been counted while they waited for the store, and whoever
  // counts it again because of its mark finds them.
  const markedAtMs = clock.nowMs();
  const late = [...minutes].filter((minute) => isLate(minute, markedAtMs));
  if (late.length === 0) return;
  const marks = late.map((minute) => ({ minute, marked_at: markedAtMs }));
  await store.insert('dirty_minute', marks);
}

/**
 * Its site has been heard all the same, so the state follows it; what it says of dropped reports is among the gaps already.
 */
function turnAway(unfit: ReadonlyMap<ReportRow, string>, outcome: Outcome): void {
  if (unfit.size === 0) return;
  const reports = outcome.reports.splice(0);
  const sources = outcome.sources.splice(0);
  const events = new Map<string, RowOf<'event'>>();
  for (const [at, row] of reports.entries()) {
    const source = sources[at];
    if (source === undefined) throw new Error('a report row without its record');
    const why = unfit.get(row);
    if (why === undefined) {
      outcome.reports.push(row);
      outcome.sources.push(source);
      continue;
    }
    if (source.repeated) outcome.repeated--;
    else outcome.stored--;
    const detail = `the store takes no such row (${why.slice(0, 300)}); report it with the sample in quarantine`;
    const refused = { record: source.record, refusal: refuse('unstorable', detail, row) };
    outcome.refused.push(refused);
    const event = eventRow(refusalEvent(refused));
    events.set(event.id, event);
  }
  outcome.events.push(...events.values());
}

/** Tells others where the sites are now; after the commit, so that they never see what could still be taken back. */
export async function publishStates({ states }: Outcome, table: Table, memory: Memory): Promise<void> {
  if (states.size === 0) return;
  const entries = [...states.values()].map((state) => {
    const value = Buffer.from(JSON.stringify(state));
    memory.of(state.site).written = value;
    return { key: state.site, value };
  });
  await table.write('state', entries);
}
