import type { Report } from '../model/report.ts';
import { type Loss, loss, ramp } from './loss.ts';

/** Null when nobody looks at the site's security. */
export function security({ security: seen }: Report): Loss[] | null {
  if (seen === undefined) return null;
  const days = seen.credentialsExpireInDays;
  return [
    // While a rollout is on its way, what is live differs from what is wanted as a matter of course.
    ...(seen.rolloutInProgress
      ? []
      : loss('drift', '', firstAndFurther(seen.drifted, 25, 5, 50), () => `${seen.drifted} objects drifted`)),
    ...loss(
      'refused-generations',
      '',
      firstAndFurther(seen.refusedGenerations, 30, 10, 60),
      () => `${seen.refusedGenerations} generations failed or were refused`,
    ),
    ...loss(
      'unexpected-denies',
      '',
      seen.unexpectedDenies < 1 ? 0 : Math.min(60, 15 + 10 * Math.log10(seen.unexpectedDenies)),
      () => `${seen.unexpectedDenies} connections denied that were accepted before`,
    ),
    ...(days === undefined ? [] : loss('credentials-expiry', '', expiryPoints(days), () => expiryText(days))),
    ...loss('findings', '', firstAndFurther(seen.findings, 8, 4, 40), () => `${seen.findings} open findings`),
  ];
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
