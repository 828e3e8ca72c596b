import type { SiteState } from '../core/model/site-state.ts';
import { nextState } from '../core/score/next-state.ts';
import { type Scored, scoreReport } from '../core/score/score.ts';
import type { Weights } from '../core/score/weights.ts';
import type { Accounted } from './account.ts';

/** A report with its score, and the site's state when it moves it. */
export type Judged = Accounted & { scored: Scored; state: SiteState | null };

/** Fourth step: the score. What the row gets is a function of the report alone, so that a replay writes the same row. */
export function judge(accounted: Accounted, weights: Weights): Judged {
  const { report, record, hash, previous, moves } = accounted;
  const scored = scoreReport(report, weights);
  const receipt = { receivedAtMs: record.appendedAtMs, payloadHash: hash };
  const state = moves ? nextState(previous, report, receipt, scored) : null;
  return { ...accounted, scored, state };
}
