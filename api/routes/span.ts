import Type, { type Static } from 'typebox';
import { type Problem, problem } from '../../core/problem.ts';

const HOUR_MS = 3_600_000;
const MINUTE_MS = 60_000;
const MAX_POINTS = 2000;
/** Minutes are kept this long. */
const MAX_SPAN_MS = 31 * 24 * HOUR_MS;

/** Until 2100: the store's times end soon after. */
const EpochMs = Type.Integer({ minimum: 0, maximum: 4_102_444_800_000 });
export const SpanQuery = Type.Object(
  {
    from: Type.Optional(EpochMs),
    to: Type.Optional(EpochMs),
    step: Type.Optional(
      Type.Integer({
        minimum: MINUTE_MS,
        maximum: 24 * HOUR_MS,
        description: 'ms between points; whole minutes',
      }),
    ),
  },
  { additionalProperties: false, description: 'Epoch ms; the last hour by minutes unless told' },
);

/** Whole steps of a stretch of time, `fromMs` included, `toMs` not. */
export type Span = { fromMs: number; toMs: number; stepMs: number };

export function readSpan(
  query: Static<typeof SpanQuery>,
  nowMs: number,
): { ok: true; span: Span } | { ok: false; problem: Problem } {
  const stepMs = Math.max(MINUTE_MS, Math.round((query.step ?? MINUTE_MS) / MINUTE_MS) * MINUTE_MS);
  const toMs = query.to ?? nowMs;
  const fromMs = query.from ?? Math.max(0, toMs - HOUR_MS);
  const wrong = (pointer: string, detail: string) =>
    ({ ok: false, problem: problem('bad-request', detail, [{ pointer, detail }]) }) as const;
  if (fromMs >= toMs) return wrong('/from', 'from is not before to; both are epoch milliseconds');
  if (toMs - fromMs > MAX_SPAN_MS) return wrong('/from', 'minutes are kept for 30 days; ask for less');
  if ((toMs - fromMs) / stepMs > MAX_POINTS)
    return wrong(
      '/step',
      `that would be more than ${MAX_POINTS} points; use a step of at least ${Math.ceil((toMs - fromMs) / MAX_POINTS / MINUTE_MS) * MINUTE_MS} ms`,
    );
  return { ok: true, span: { fromMs, toMs, stepMs } };
}
