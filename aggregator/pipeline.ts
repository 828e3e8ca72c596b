import type { LogRecord } from '../core/ports/log.ts';
import type { Weights } from '../core/score/weights.ts';
import { account } from './account.ts';
import { type Authentic, authenticate } from './authenticate.ts';
import { decode } from './decode.ts';
import { eventRow, refusalEvent } from './events.ts';
import type { Known } from './known.ts';
import type { Memory } from './memory.ts';
import { emptyOutcome, type Outcome } from './outcome.ts';
import type { Registry } from './registry.ts';
import { addGapsOf, addRows } from './rows.ts';
import { judge } from './score.ts';
import type { Refused, Step } from './step.ts';

export type Admitted = { authentic: Authentic[]; refused: Refused[] };

/*
 * The way of a batch: decode → authenticate → account → score → rows. Each step is a file; each gives a value or a reason
 * for quarantine; none of them does anything to the world. `admit` comes before the one question to the store (known.ts),
 * `conclude` after it and is the only part that moves the memory.
 */

/** A batch is taken in pieces, in order, all adding to one outcome, so that parsed reports become garbage while still young. */
export const PIECE_RECORDS = 250;

export function admit(records: readonly LogRecord[], registry: Registry, spoolMaxAgeMs: number): Admitted {
  const admitted: Admitted = { authentic: [], refused: [] };
  for (const record of records) {
    const step = admitOne(record, registry, spoolMaxAgeMs);
    if (step.ok) admitted.authentic.push(step.value);
    else admitted.refused.push({ record, refusal: step });
  }
  return admitted;
}

function admitOne(record: LogRecord, registry: Registry, spoolMaxAgeMs: number): Step<Authentic> {
  const decoded = decode(record);
  return decoded.ok ? authenticate(decoded.value, registry, spoolMaxAgeMs) : decoded;
}

export function conclude(
  { authentic, refused }: Admitted,
  known: Known,
  memory: Memory,
  weights: Weights,
  outcome: Outcome = emptyOutcome(),
): Outcome {
  const turnedAway = [...refused];
  for (const one of authentic) {
    const accounted = account(one, memory, known);
    if (!accounted.ok) {
      turnedAway.push({ record: one.record, refusal: accounted });
      continue;
    }
    const judged = judge(accounted.value, weights);
    if (judged.state !== null) memory.of(judged.report.site).state = judged.state;
    addRows(judged, outcome);
  }
  outcome.refused.push(...turnedAway);
  for (const one of turnedAway) addGapsOf(one, outcome);
  const events = new Map(turnedAway.map(refusalEvent).map((event) => [event.id, event]));
  for (const event of events.values()) outcome.events.push(eventRow(event));
  return outcome;
}
