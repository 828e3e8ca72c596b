import type { SiteEvidence, StageQuestion } from '../evidence.ts';
import { type Found, reason } from './reasons.ts';

/** A bound of 100 is none: a score can't drop further. */
const NO_BOUND = 100;

/** How far the score fell, less what the sites fell that have not been promoted. Rises elsewhere count for nothing. */
export function scoreDrop(question: StageQuestion, { scoreBefore, scoreNow }: SiteEvidence): Found | null {
  const { maxScoreDrop, controlDrop } = question;
  if (maxScoreDrop >= NO_BOUND) return null;
  if (scoreBefore === null || scoreNow === null)
    return reason(
      'score-unknown',
      `its score ${scoreBefore === null ? 'before' : 'after'} the change is not known`,
    );
  const elsewhere = Math.max(0, controlDrop ?? 0);
  const drop = scoreBefore - scoreNow - elsewhere;
  if (drop <= maxScoreDrop) return null;
  const fell = `its score fell from ${scoreBefore} to ${scoreNow}`;
  const others =
    controlDrop === null ? 'no other sites to compare with' : `other sites fell by ${elsewhere.toFixed(1)}`;
  return elsewhere > maxScoreDrop
    ? reason('score-drop-elsewhere', `${fell}, and ${others} too, so it may not be the change`)
    : reason('score-drop', `${fell} (${others}); ${maxScoreDrop} are allowed`);
}
