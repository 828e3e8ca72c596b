import type { Link, Report } from '../model/report.ts';
import { plural } from '../plural.ts';

/** What a site in a state that no mean may hide scores at most. */
export const CAP = 39;
/** What a site is shown at most while its probes can't be relied on. */
export const PROBE_CAP = 75;

/** Why the score can't be above 39, in words; empty when it can. */
export function caps(report: Report): string[] {
  const reasons: string[] = [];
  for (const reason of [linksCap(report), nodesCap(report), workloadsCap(report), criticalCap(report)])
    if (reason !== null) reasons.push(reason);
  return reasons;
}

/** The hub's own link doesn't keep a site connected whose peers are all gone. */
function linksCap({ links = [] }: Report): string | null {
  const hasPeers = links.some((link) => link.protocol !== 'hub');
  const isJudged = (link: Link) => !hasPeers || link.protocol !== 'hub';
  return links.length > 0 && !links.some((link) => link.up && isJudged(link)) ? 'all links are down' : null;
}

function nodesCap({ nodes }: Report): string | null {
  return nodes !== undefined && nodes.total > 0 && nodes.ready === 0 ? 'no node is ready' : null;
}

function workloadsCap({ workloads }: Report): string | null {
  if (workloads === undefined || workloads.down * 2 <= workloads.total) return null;
  return `most workloads are down (${workloads.down} of ${workloads.total})`;
}

function criticalCap({ workloads }: Report): string | null {
  if (workloads === undefined || workloads.criticalDown.length === 0) return null;
  return `critical workloads are down: ${workloads.criticalDown.slice(0, 5).join(', ')}`;
}

/** The declared probe that failed or lost data in this report, in words. */
export function probeFault({ probes }: Report): string | null {
  const probe = probes.find(({ ok, lost }) => !ok || lost > 0);
  if (probe === undefined) return null;
  if (!probe.ok) return `probe ${probe.name} failed${probe.error === undefined ? '' : `: ${probe.error}`}`;
  return `probe ${probe.name} lost ${plural(probe.lost, 'observation')}`;
}
