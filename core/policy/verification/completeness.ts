import { plural } from '../../plural.ts';
import type { SiteEvidence, StageQuestion } from '../evidence.ts';
import { type Found, reason, seconds } from './reasons.ts';

/** From how far off a site's clock its times say nothing any more. */
export const MAX_CLOCK_OFFSET_MS = 30_000;
/** After so many intervals without a report a site is not fresh. */
const STALE_INTERVALS = 3;

/** Whether nothing is missing from what was recorded, it is of one piece, of now, and of long enough. */
export function completeness(question: StageQuestion, evidence: SiteEvidence): Found[] {
  return [...freshness(question, evidence), ...soak(question, evidence), ...continuity(evidence)];
}

export function freshness({ decidedAtMs }: StageQuestion, evidence: SiteEvidence): Found[] {
  const { newestReceivedAtMs, newestMadeAtMs, intervalMs } = evidence;
  if (newestReceivedAtMs === null || newestMadeAtMs === null) return [];
  const ageMs = decidedAtMs - Math.min(newestReceivedAtMs, newestMadeAtMs);
  if (ageMs <= STALE_INTERVALS * intervalMs) return [];
  const bound = `${STALE_INTERVALS} intervals are ${seconds(STALE_INTERVALS * intervalMs)}`;
  return [reason('stale', `its newest report is ${seconds(ageMs)} old; ${bound}`)];
}

function soak({ decidedAtMs, soakMs }: StageQuestion, { appliedSinceMs }: SiteEvidence): Found[] {
  if (appliedSinceMs === null)
    return [reason('not-applied', 'no report yet has it applied and live since the stage began')];
  const soakedMs = decidedAtMs - appliedSinceMs;
  if (soakedMs >= soakMs) return [];
  return [reason('soaking', `applied and live for ${seconds(soakedMs)} of ${seconds(soakMs)}`)];
}

function continuity(evidence: SiteEvidence): Found[] {
  const { reports, boots, missing, quarantined, clockOffsetMs, ever, newest } = evidence;
  const found: Found[] = [];
  const add = (count: number, code: Found['code'], text: string) => {
    if (count > 0) found.push(reason(code, text));
  };
  add(missing, 'gap', `${plural(missing, 'report')} missing between its first and its newest`);
  add(quarantined, 'quarantined', `${plural(quarantined, 'report')} of its refused`);
  add(
    boots - 1,
    'restarted',
    `its reports come from ${boots} boots; one has to last from application to verdict`,
  );
  add(
    ever.lostObservations,
    'lost-observations',
    `${plural(ever.lostObservations, 'observation')} lost in ${plural(reports, 'report')}`,
  );
  add(
    ever.counterEpochs - 1,
    'counter-reset',
    `its counters began again at zero ${plural(ever.counterEpochs - 1, 'time')}`,
  );
  add(
    ever.decreases,
    'counter-decreased',
    `a counter went down ${plural(ever.decreases, 'time')}, by nobody known`,
  );
  const full = Math.max(ever.fullSets, newest?.fullSets ?? 0);
  add(full, 'set-full', `up to ${plural(full, 'bounded set')} full, so that destinations are missing`);
  add(
    ever.notLive,
    'was-not-live',
    `not applied and live in ${plural(ever.notLive, 'report')} since it was applied`,
  );
  const { rulesLeftOut = 0, probesLeftOut = 0 } = newest ?? {};
  add(
    rulesLeftOut + probesLeftOut,
    'left-out',
    `its newest report had no room for ${plural(rulesLeftOut, 'rule')} with hits and ${plural(probesLeftOut, 'probe result')}`,
  );
  if (clockOffsetMs === null)
    found.push(reason('clock-unknown', "the site never compared its clock with the hub's"));
  else if (clockOffsetMs > MAX_CLOCK_OFFSET_MS)
    found.push(
      reason(
        'clock-off',
        `its clock was up to ${seconds(clockOffsetMs)} off; ${seconds(MAX_CLOCK_OFFSET_MS)} are allowed`,
      ),
    );
  return found;
}
