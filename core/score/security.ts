import type { Report } from '../model/report.ts';
import { type Loss, lose, ramp } from './loss.ts';

/** Null when nobody looks at the site's security. */
export function security({ security: seen }: Report): Loss[] | null {
  if (seen === undefined) return null;
  const losses: Loss[] = [];
  const { drifted, refusedGenerations, unexpectedDenies, findings, credentialsExpireInDays: days } = seen;
  // While a rollout is on its way, what is live differs from what is wanted as a matter of course.
  const drift = seen.rolloutInProgress ? 0 : firstAndFurther(drifted, 25, 5, 50);
  lose(losses, 'drift', '', drift, () => `${drifted} objects drifted`);
  const refused = firstAndFurther(refusedGenerations, 30, 10, 60);
  lose(
    losses,
    'refused-generations',
    '',
    refused,
    () => `${refusedGenerations} generations failed or were refused`,
  );
  const denied = unexpectedDenies < 1 ? 0 : Math.min(60, 15 + 10 * Math.log10(unexpectedDenies));
  const denies = () => `${unexpectedDenies} connections denied that were accepted before`;
  lose(losses, 'unexpected-denies', '', denied, denies);
  if (days !== undefined) lose(losses, 'credentials-expiry', '', expiryPoints(days), () => expiryText(days));
  lose(losses, 'findings', '', firstAndFurther(findings, 8, 4, 40), () => `${findings} open findings`);
  return losses;
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
