import type { Report } from '../model/report.ts';
import { plural } from '../plural.ts';
import { type Loss, lose, ramp } from './loss.ts';

/** Null when nobody looks at the site's security, and no policy is enforced there that could be judged. */
export function security(report: Report): Loss[] | null {
  const seen = report.security;
  const said = policyFigures(report);
  if (seen === undefined && said === null) return null;
  const losses: Loss[] = [];
  // While a rollout is on its way, what is live differs from what is wanted as a matter of course.
  const drifted = (seen === undefined || seen.rolloutInProgress ? 0 : seen.drifted) + (said?.drifted ?? 0);
  lose(losses, 'drift', '', firstAndFurther(drifted, 25, 5, 50), () => `${drifted} objects drifted`);
  const refused = (seen?.refusedGenerations ?? 0) + (said?.refused ?? 0);
  lose(
    losses,
    'refused-generations',
    '',
    firstAndFurther(refused, 30, 10, 60),
    () => `${refused} generations failed or were refused`,
  );
  const denied = (seen?.unexpectedDenies ?? 0) + (said?.unexpectedDenies ?? 0);
  const denies = () => `${plural(denied, 'connection')} denied to what was accepted before`;
  lose(losses, 'unexpected-denies', '', denied < 1 ? 0 : Math.min(60, 15 + 10 * Math.log10(denied)), denies);
  if (seen === undefined) return losses;
  const { findings, credentialsExpireInDays: days } = seen;
  if (days !== undefined) lose(losses, 'credentials-expiry', '', expiryPoints(days), () => expiryText(days));
  lose(losses, 'findings', '', firstAndFurther(findings, 8, 4, 40), () => `${findings} open findings`);
  return losses;
}

type PolicyFigures = { drifted: number; refused: number; unexpectedDenies: number };

/**
 * What the policies themselves tell. One that is being applied differs as a matter of course; what audit would have denied
 * was not. Null where enforcement is off, or nothing is to be enforced.
 */
function policyFigures({ policy }: Report): PolicyFigures | null {
  if (policy === undefined || policy.enforcement === 'off' || policy.policies.length === 0) return null;
  const figures = { drifted: 0, refused: 0, unexpectedDenies: 0 };
  for (const { phase, live, mode, unexpectedDenies } of policy.policies) {
    if ((phase === 'applied' || phase === 'orphaned') && !live) figures.drifted++;
    if (phase === 'refused') figures.refused++;
    if (mode === 'enforce') figures.unexpectedDenies += unexpectedDenies;
  }
  return figures;
}

function firstAndFurther(count: number, first: number, further: number, most: number): number {
  return count < 1 ? 0 : Math.min(most, first + further * (count - 1));
}

function expiryPoints(days: number): number {
  if (days <= 0) return 80;
  return days < 14 ? 5 + 45 * ramp(14 - days, 0, 14) : 0;
}

function expiryText(days: number): string {
  return days <= 0 ? 'a credential has expired' : `a credential expires in ${Number(days.toFixed(1))} days`;
}
