import type { Link, Report } from '../model/report.ts';
import { type Loss, lose, percent, ramp, share } from './loss.ts';

/** Points that a link which is down costs a site of `links` links: all of them alone, a quarter of them together with seven. */
function pointsOfLink(links: number): number {
  return Math.max(100 / links, 70 / Math.sqrt(links));
}

/** Null when the site has no link at all, not even the one to its hub. */
export function connectivity(report: Report): Loss[] | null {
  const links = report.links ?? [];
  if (links.length === 0) return null;
  const losses: Loss[] = [];
  const most = pointsOfLink(links.length);
  for (const link of links) loseLink(losses, link, most);
  const missed = () => `${report.missed} of the last 30 collections made no report`;
  lose(losses, 'reports-missed', '', Math.min(40, report.missed * 2), missed);
  return losses;
}

/** All that is wrong with one link never costs more than its being down. */
function loseLink(losses: Loss[], link: Link, most: number): void {
  if (!link.up) {
    const why = () => `down: ${link.lastError ?? 'nothing answered'} (${link.target})`;
    lose(losses, 'link-down', link.name, most, why);
    return;
  }
  let left = Math.round(most);
  const take = (id: string, points: number, observed: () => string) => {
    if (points < 0.5 || left === 0) return;
    const taken = Math.min(Math.round(points), left);
    left -= taken;
    lose(losses, id, link.name, taken, observed);
  };
  const { requests, losses: lost, errors } = link.window;
  if (lost > 0) {
    const ratio = share(lost, requests);
    take(
      'link-loss',
      most * rootOf(ratio),
      () => `${percent(ratio)} of requests lost (${lost} of ${requests})`,
    );
  }
  if (errors > 0) {
    const ratio = share(errors, requests);
    const observed = () => `${percent(ratio)} of requests answered with an error (${errors} of ${requests})`;
    take('link-errors', most * 0.8 * rootOf(ratio), observed);
  }
  const late = lateness(link);
  if (late !== null) take('link-latency', most * late.part, () => late.observed);
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
