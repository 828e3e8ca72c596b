import { compareVersions } from '../../model/signed.ts';
import type { SiteEvidence, StageQuestion } from '../evidence.ts';
import { type Found, reason } from './reasons.ts';

type Newest = NonNullable<SiteEvidence['newest']>;

/** First row of the table: is the stage's generation, by digest and mode, applied and live? Null when it is. */
export function standing(question: StageQuestion, { newest, appliedSinceMs }: SiteEvidence): Found | null {
  if (newest === null)
    return reason('no-report', 'no report since the stage began says anything of this policy');
  const { version } = question;
  const { seen, workloads, phase } = newest;
  if (newest.enforcement === 'off')
    return reason('enforcement-off', "enforcement is off at this site: its owner's to turn on");
  if (newest.enforcement === 'disarmed' || phase === 'disarmed')
    return reason('disarmed', "the site's owner disarmed it");
  if (compareVersions(seen, version) < 0)
    return reason(
      'target-not-seen',
      `the site has seen target ${seen.epoch}.${seen.n}, the stage began with ${version.epoch}.${version.n}${newest.reason === '' ? '' : `: ${newest.reason}`}`,
    );
  if (phase === 'not-applicable' || (phase === 'applied' && workloads === 0))
    return appliedSinceMs === null
      ? reason('not-applicable', 'the policy selects no workload at this site')
      : reason('workloads-gone', 'the policy selected workloads at this site, and now selects none');
  return inForce(question, newest) ?? liveness(newest);
}

function inForce(question: StageQuestion, newest: Newest): Found | null {
  const { generation, digest, mode } = question;
  const { phase, reason: why } = newest;
  const said = why === '' ? '' : `: ${why}`;
  const isIt = newest.generation === generation && newest.digest === digest;
  if (phase === 'refused' && isIt)
    return reason('refused', `the site refused generation ${generation}${said}`);
  if (phase === 'orphaned')
    return reason('orphaned', `the site has lost sight of the policy's target${said}`);
  if (phase === 'withdrawn') return reason('withdrawn', `the site has withdrawn the policy${said}`);
  if (newest.generation !== generation)
    return reason(
      'other-generation',
      `generation ${newest.generation} is ${phase} there, not ${generation}: what it counted proves nothing`,
    );
  if (newest.digest !== digest)
    return reason(
      'other-digest',
      `generation ${generation} is there with digest ${newest.digest}, not ${digest}`,
    );
  if (phase === 'hub-away')
    return reason(
      'hub-away',
      `taken back because the hub could not be reached; applied again when it can${said}`,
    );
  if (phase !== 'applied') return reason('not-applied', `generation ${generation} is ${phase}${said}`);
  if (newest.mode !== mode) return reason('other-mode', `it runs in mode ${newest.mode}, not ${mode}`);
  return null;
}

function liveness({ live, generation, reason: why }: Newest): Found | null {
  if (live) return null;
  return reason(
    'not-live',
    `what was read back is not what generation ${generation} put there${why === '' ? '' : `: ${why}`}`,
  );
}
