import type { Nodes, Report, Workloads } from '../model/report.ts';
import { type Loss, lose, percent, share } from './loss.ts';

/** Null when the site has neither nodes nor workloads. A pool scaled to zero has none, which is no fault. */
export function reliability({ nodes, workloads }: Report): Loss[] | null {
  const hasNodes = nodes !== undefined && nodes.total > 0;
  const hasWorkloads = workloads !== undefined && (workloads.total > 0 || workloads.criticalDown.length > 0);
  if (!hasNodes && !hasWorkloads) return null;
  const losses: Loss[] = [];
  if (hasNodes) loseNodes(losses, nodes);
  if (hasWorkloads) loseWorkloads(losses, workloads);
  return losses;
}

function loseNodes(losses: Loss[], { total, ready, underPressure }: Nodes): void {
  loseByShare(losses, 'nodes-not-ready', total - ready, total, 100, 'nodes are not ready');
  loseByShare(losses, 'nodes-under-pressure', underPressure, total, 40, 'nodes are under pressure');
}

function loseWorkloads(losses: Loss[], workloads: Workloads): void {
  const { total, down, crashLooping, outOfMemory, unschedulable, waitingForImage, criticalDown } = workloads;
  if (criticalDown.length > 0)
    lose(losses, 'critical-down', '', 65, () => `critical workloads are down: ${criticalDown.join(', ')}`);
  loseByShare(losses, 'workloads-down', down, total, 100, 'workloads are down');
  loseByShare(losses, 'workloads-crash-looping', crashLooping, total, 80, 'workloads are crash-looping');
  loseByShare(losses, 'workloads-out-of-memory', outOfMemory, total, 80, 'workloads ran out of memory');
  loseByShare(losses, 'workloads-unschedulable', unschedulable, total, 60, 'workloads are unschedulable');
  loseByShare(
    losses,
    'workloads-waiting-for-image',
    waitingForImage,
    total,
    60,
    'workloads wait for an image',
  );
}

/** The root of the share, because the first few faults say most: 1 of 100 costs a tenth, a quarter of them a half. */
function loseByShare(
  losses: Loss[],
  id: string,
  part: number,
  total: number,
  most: number,
  what: string,
): void {
  const ratio = share(part, total);
  lose(losses, id, '', most * Math.sqrt(ratio), () => `${part} of ${total} ${what} (${percent(ratio)})`);
}
