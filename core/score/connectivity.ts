import type { Link, Report } from '../model/report.ts';
import { type Loss, loss, percent, ramp, share } from './loss.ts';

/** Points that a link which is down costs a site of `links` links: all of them alone, a third of them together with eight. */
export function pointsOfLink(links: number): number {
  return Math.max(100 / links, 70 / Math.sqrt(links));
}

/** Null when the site has no link at all, not even the one to its hub. */
export function connectivity(report: Report): Loss[] | null {
  const links = report.links ?? [];
  if (links.length === 0) return null;
  const most = pointsOfLink(links.length);
  const losses = links.flatMap((link) => linkLosses(link, most));
  const missed = () => `${report.missed} of the last 30 collections made no report`;
  losses.push(...loss('reports-missed', '', Math.min(40, report.missed * 2), missed));
  return losses;
}

/** All that is wrong with one link never costs more than its being down. */
function linkLosses(link: Link, most: number): Loss[] {
  if (!link.up)
    return loss(
      'link-down',
      link.name,
      most,
      () => `down: ${link.lastError ?? 'every attempt failed'} (${link.target})`,
    );
  const { requests, losses, errors } = link.window;
  const lost = share(losses, requests);
  const failed = share(errors, requests);
  const late = lateness(link);
  let left = Math.round(most);
  const found = [
    ...loss(
      'link-loss',
      link.name,
      most * rootOf(lost),
      () => `${percent(lost)} of requests lost (${losses} of ${requests})`,
    ),
    ...loss(
      'link-errors',
      link.name,
      most * 0.8 * rootOf(failed),
      () => `${percent(failed)} of requests answered with an error (${errors} of ${requests})`,
    ),
    ...(late === null ? [] : loss('link-latency', link.name, most * late.part, () => late.observed)),
  ];
  return found.flatMap((one) => {
    const points = Math.min(one.points, left);
    left -= points;
    return points < 1 ? [] : [{ ...one, points }];
  });
}

/** 1.25 √ratio, at most 1: a few per cent hurt already, and at two thirds a link is as good as down. */
function rootOf(ratio: number): number {
  return Math.min(1, 1.25 * Math.sqrt(ratio));
}

/** A declared budget is for the p90; without one the p50 is held against the learned baseline. */
function lateness({ latency, budgetMs, baselineMs }: Link): { part: number; observed: string } | null {
  if (latency === undefined) return null;
  const value = budgetMs === undefined ? latency.p50Ms : latency.p90Ms;
  const limit = budgetMs ?? (baselineMs === undefined ? null : Math.max(3 * baselineMs, baselineMs + 50));
  if (limit === null || value <= limit) return null;
  const part = 0.2 + 0.3 * ramp(value / limit, 1, 3);
  const observed =
    budgetMs === undefined
      ? `p50 ${ms(value)}, usually ${ms(baselineMs ?? 0)}`
      : `p90 ${ms(value)}, budget ${ms(budgetMs)}`;
  return { part, observed };
}

function ms(value: number): string {
  return `${value < 10 ? Number(value.toFixed(1)) : Math.round(value)} ms`;
}
