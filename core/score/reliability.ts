import type { Nodes, Report, Workloads } from '../model/report.ts';
import { type Loss, loss, percent, share } from './loss.ts';

/** Null when the site has neither nodes nor workloads. A pool scaled to zero has none, which is no fault. */
export function reliability(report: Report): Loss[] | null {
  const nodes = report.nodes !== undefined && report.nodes.total > 0 ? report.nodes : null;
  const workloads =
    report.workloads !== undefined && hasWorkloads(report.workloads) ? report.workloads : null;
  if (nodes === null && workloads === null) return null;
  return [
    ...(nodes === null ? [] : nodeLosses(nodes)),
    ...(workloads === null ? [] : workloadLosses(workloads)),
  ];
}

function hasWorkloads({ total, criticalDown }: Workloads): boolean {
  return total > 0 || criticalDown.length > 0;
}

function nodeLosses({ total, ready, underPressure }: Nodes): Loss[] {
  const notReady = total - ready;
  return [
    ...byShare('nodes-not-ready', notReady, total, 100, 'nodes are not ready'),
    ...byShare('nodes-under-pressure', underPressure, total, 40, 'nodes are under pressure'),
  ];
}

function workloadLosses(workloads: Workloads): Loss[] {
  const { total } = workloads;
  const critical = workloads.criticalDown;
  return [
    ...(critical.length === 0
      ? []
      : loss('critical-down', '', 65, () => `critical workloads are down: ${critical.join(', ')}`)),
    ...byShare('workloads-down', workloads.down, total, 100, 'workloads are down'),
    ...byShare('workloads-crash-looping', workloads.crashLooping, total, 80, 'workloads are crash-looping'),
    ...byShare('workloads-out-of-memory', workloads.outOfMemory, total, 80, 'workloads ran out of memory'),
    ...byShare('workloads-unschedulable', workloads.unschedulable, total, 60, 'workloads are unschedulable'),
    ...byShare(
      'workloads-waiting-for-image',
      workloads.waitingForImage,
      total,
      60,
      'workloads wait for an image',
    ),
  ];
}

/** The root of the share, because the first few faults say most: 1 of 100 costs a tenth, a quarter of them a half. */
function byShare(id: string, part: number, total: number, most: number, what: string): Loss[] {
  const ratio = share(part, total);
  return loss(id, '', most * Math.sqrt(ratio), () => `${part} of ${total} ${what} (${percent(ratio)})`);
}
