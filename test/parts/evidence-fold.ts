import { Compile } from 'typebox/compile';
import { PolicyStatus } from '../../core/model/policy-report.ts';
import type { RowOf } from '../../core/model/rows.ts';
import type { SiteEvidence, StageQuestion } from '../../core/policy/evidence.ts';

/*
 * The evidence of one site by the words of core/policy/evidence.ts, row by row: what the store's query is held to, and what
 * the simulation runs on. Slow and plain on purpose.
 */
type PolicyRow = RowOf<'policy_report'>;
export type HeardRow = Pick<RowOf<'report'>, 'site' | 'boot' | 'seq' | 'ts' | 'received_at' | 'score'>;
export type RefusedRow = Pick<RowOf<'quarantine'>, 'site' | 'received_at' | 'record_hash'>;
export type Recorded = {
  policies: readonly PolicyRow[];
  reports: readonly HeardRow[];
  refused: readonly RefusedRow[];
};

const status = Compile(PolicyStatus);
const WINDOW_MS = 600_000;
const SLACK_MS = 3_600_000;
type Placed = { boot: string; seq: number; ts: number; received_at: number };

function order(a: Placed, b: Placed): number {
  return a.boot === b.boot ? a.seq - b.seq : a.boot < b.boot ? -1 : 1;
}

/** Those received by the decision, of several arrivals of one the first, in order. */
function known<R extends Placed>(rows: readonly R[], { startedAtMs, decidedAtMs }: StageQuestion): R[] {
  const first = new Map<string, R>();
  for (const row of rows) {
    const key = `${row.boot}/${row.seq}`;
    const before = first.get(key);
    if (before === undefined || row.received_at < before.received_at) first.set(key, row);
  }
  return [...first.values()]
    .filter(
      ({ received_at: at, ts }) =>
        at <= decidedAtMs &&
        at > startedAtMs - WINDOW_MS &&
        ts >= startedAtMs - WINDOW_MS - SLACK_MS &&
        ts <= decidedAtMs + SLACK_MS,
    )
    .sort(order);
}

export function foldEvidence(question: StageQuestion, site: string, recorded: Recorded): SiteEvidence {
  const { startedAtMs, decidedAtMs } = question;
  const all = known(recorded.policies, question);
  const heard = known(recorded.reports, question);
  const after = all.filter((row) => row.received_at > startedAtMs);
  const told = from(after, (row) => hasSeen(question, row));
  const held = from(told, (row) => isApplied(question, row));
  const newest = after.at(-1);
  const [first] = held;
  const spans = spansOf(told).map((span) => ({
    ...span,
    stored: heard.filter(({ boot, seq }) => boot === span.boot && seq >= span.from && seq <= span.to).length,
  }));
  const offsets = told.flatMap(({ clock_offset_ms: offset }) => (offset === null ? [] : [Math.abs(offset)]));
  const scored = first === undefined ? heard.filter((row) => row.received_at > startedAtMs) : held;
  const now = scored.filter(({ score }) => score !== null).slice(-6);
  const before = heard.filter((row) => row.received_at <= startedAtMs).map(({ score }) => score);
  const refused = recorded.refused.filter(
    (row) => row.received_at > startedAtMs && row.received_at <= decidedAtMs,
  );
  return {
    site,
    reports: told.length,
    boots: spans.length,
    missing: sum(spans.map(({ from: a, to, stored, rows }) => to - a + 1 - Math.max(stored, rows))),
    quarantined: new Set(refused.map((row) => `${row.received_at}/${row.record_hash}`)).size,
    newestReceivedAtMs: newest?.received_at ?? null,
    newestMadeAtMs: newest?.ts ?? null,
    intervalMs: newest?.interval_ms ?? 0,
    clockOffsetMs: offsets.length === 0 ? null : Math.max(...offsets),
    newest: newest === undefined ? null : said(newest),
    ever: {
      notLive: held.filter((row) => !isApplied(question, row)).length,
      fullSets: Math.max(0, ...held.map((row) => row.full_sets)),
      counterEpochs: new Set(held.filter((row) => isSame(question, row)).map((row) => row.counter_epoch))
        .size,
      decreases: decreases(question, held),
      lostObservations:
        sum(held.map(({ lost }) => lost)) + sum(spans.map(({ stored, rows }) => Math.max(0, stored - rows))),
      unexpectedDenies: Math.max(
        0,
        ...held.filter((row) => isApplied(question, row)).map((row) => row.unexpected_denies),
      ),
    },
    ...(first === undefined
      ? { hitsBefore: [], unexpectedBefore: 0 }
      : beforeStage(question, [first, told], all, heard)),
    appliedSinceMs: first?.received_at ?? null,
    scoreBefore: median(before),
    scoreNow: median(now.map(({ score }) => score)),
  };
}

function beforeStage(
  question: StageQuestion,
  [first, told]: [PolicyRow, readonly PolicyRow[]],
  all: readonly PolicyRow[],
  heard: readonly HeardRow[],
): Pick<SiteEvidence, 'hitsBefore' | 'unexpectedBefore'> {
  const began = told.find((row) => isSame(question, row)) ?? first;
  const previous = all.filter((row) => order(row, began) < 0).at(-1);
  const isGoingOn =
    previous === undefined ? !heard.some((row) => order(row, began) < 0) : isSame(question, previous);
  const isCountedOn =
    previous !== undefined &&
    isSame(question, previous) &&
    previous.mode === question.mode &&
    previous.counter_epoch === began.counter_epoch &&
    previous.unexpected_denies <= began.unexpected_denies;
  const hitsBefore = isGoingOn ? first.rule.map((rule, at) => ({ rule, hits: first.hits[at] ?? 0 })) : [];
  return { hitsBefore, unexpectedBefore: isCountedOn ? previous.unexpected_denies : 0 };
}

function from<R>(rows: readonly R[], is: (row: R) => boolean): R[] {
  const at = rows.findIndex(is);
  return at < 0 ? [] : rows.slice(at);
}

function hasSeen({ version }: StageQuestion, row: PolicyRow): boolean {
  return row.seen_epoch > version.epoch || (row.seen_epoch === version.epoch && row.seen_n >= version.n);
}

function isSame({ generation, digest }: StageQuestion, row: PolicyRow): boolean {
  return row.generation === generation && row.digest === digest;
}

function isApplied(question: StageQuestion, row: PolicyRow): boolean {
  return (
    row.received_at > question.startedAtMs &&
    hasSeen(question, row) &&
    isSame(question, row) &&
    row.mode === question.mode &&
    row.enforcement === 'on' &&
    row.phase === 'applied' &&
    row.live === 1 &&
    row.workloads > 0
  );
}

function spansOf(rows: readonly PolicyRow[]): { boot: string; from: number; to: number; rows: number }[] {
  return [...Map.groupBy(rows, ({ boot }) => boot)].map(([boot, of]) => {
    const seqs = of.map(({ seq }) => seq);
    return { boot, from: Math.min(...seqs), to: Math.max(...seqs), rows: of.length };
  });
}

function decreases(question: StageQuestion, held: readonly PolicyRow[]): number {
  let count = 0;
  for (const [at, b] of held.entries()) {
    const a = held[at - 1];
    if (a === undefined || !isSame(question, a) || !isSame(question, b)) continue;
    if (a.counter_epoch !== b.counter_epoch) continue;
    const fell =
      a.rule.join() === b.rule.join()
        ? b.hits.some((hits, i) => hits < (a.hits[i] ?? 0))
        : sum(b.hits) < sum(a.hits);
    if (fell || b.denies < a.denies || b.unexpected_denies < a.unexpected_denies) count++;
  }
  return count;
}

function said(row: PolicyRow): SiteEvidence['newest'] {
  const value: unknown = JSON.parse(row.detail);
  if (!status.Check(value)) throw new Error('a row with a detail that is no status');
  const { kind: _, name: __, drift: ___, reason, ...rest } = value;
  const enforcement = row.enforcement === 'on' || row.enforcement === 'off' ? row.enforcement : 'disarmed';
  return { enforcement, reason: reason ?? '', ...rest };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function median(values: readonly (number | null)[]): number | null {
  const sorted = values.filter((value) => value !== null).sort((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) / 2)] ?? null;
}
