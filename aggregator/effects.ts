import { isLate } from '../core/account.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { Store } from '../core/ports/store.ts';
import type { Table } from '../core/ports/table.ts';
import type { Memory } from './memory.ts';
import type { Outcome } from './outcome.ts';
import { quarantineRow } from './quarantine-row.ts';

/** Makes the rows of a batch durable: one insert a table, and only where there is something. May be done again. */
export async function insertRows(outcome: Outcome, store: Store, clock: Clock): Promise<void> {
  const { reports, refused, gaps, events, minutes } = outcome;
  if (reports.length > 0) await store.insert('report', reports);
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
