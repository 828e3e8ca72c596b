import type { Pressure, Report } from '../model/report.ts';
import { type Loss, lose, percent, ramp } from './loss.ts';

/** Null when the site's hosts are not observed. */
export function performance({ host }: Report): Loss[] | null {
  if (host === undefined) return null;
  const losses: Loss[] = [];
  loseNearlyFull(losses, 'cpu', '', host.cpu.utilization, 50, 'CPU busy');
  loseNearlyFull(losses, 'memory', '', host.memory.utilization, 80, 'memory used');
  for (const { mount, utilization, inodesUtilization } of host.disks) {
    loseNearlyFull(losses, 'disk', mount, utilization, 80, 'disk used');
    loseNearlyFull(losses, 'inodes', mount, inodesUtilization ?? 0, 80, 'inodes used');
  }
  const swap = host.swap.totalBytes > 0 ? host.swap.utilization : 0;
  lose(losses, 'swap', '', 20 * ramp(swap, 0.5, 1), () => `swap used ${percent(swap)}`);
  if (host.pressure !== undefined) losePressure(losses, host.pressure);
  return losses;
}

/** Nothing up to 85%, then linear to the most at 100%. */
function loseNearlyFull(
  losses: Loss[],
  id: string,
  subject: string,
  ratio: number,
  most: number,
  what: string,
): void {
  if (ratio > 0.85) lose(losses, id, subject, most * ramp(ratio, 0.85, 1), () => `${what} ${percent(ratio)}`);
}

function losePressure(losses: Loss[], pressure: Pressure): void {
  const stalled = (id: string, ratio: number, from: number, to: number, most: number, who: string) => {
    if (ratio > from)
      lose(losses, id, '', most * ramp(ratio, from, to), () => `${who} ${percent(ratio)} of the time`);
  };
  stalled('cpu-pressure', pressure.cpuSome, 0.4, 1, 20, 'some tasks waited for CPU');
  stalled('memory-pressure', pressure.memorySome, 0.1, 0.6, 30, 'some tasks waited for memory');
  stalled('memory-stall', pressure.memoryFull, 0.05, 0.4, 50, 'all tasks waited for memory');
  stalled('io-pressure', pressure.ioSome, 0.4, 1, 15, 'some tasks waited for I/O');
  stalled('io-stall', pressure.ioFull, 0.2, 0.8, 35, 'all tasks waited for I/O');
}
