import type { Pressure, Report } from '../model/report.ts';
import { type Loss, loss, percent, ramp } from './loss.ts';

/** Null when the site's hosts are not observed. */
export function performance({ host }: Report): Loss[] | null {
  if (host === undefined) return null;
  const swap = host.swap.totalBytes > 0 ? host.swap.utilization : 0;
  return [
    ...nearlyFull('cpu', '', host.cpu.utilization, 50, 'CPU busy'),
    ...nearlyFull('memory', '', host.memory.utilization, 80, 'memory used'),
    ...host.disks.flatMap((disk) => [
      ...nearlyFull('disk', disk.mount, disk.utilization, 80, `${disk.mount} used`),
      ...nearlyFull('inodes', disk.mount, disk.inodesUtilization ?? 0, 80, `inodes of ${disk.mount} used`),
    ]),
    ...loss('swap', '', 20 * ramp(swap, 0.5, 1), () => `swap used ${percent(swap)}`),
    ...(host.pressure === undefined ? [] : pressureLosses(host.pressure)),
  ];
}

/** Nothing up to 85%, then linear to the most at 100%. */
function nearlyFull(id: string, subject: string, ratio: number, most: number, what: string): Loss[] {
  return loss(id, subject, most * ramp(ratio, 0.85, 1), () => `${what} ${percent(ratio)}`);
}

function pressureLosses(pressure: Pressure): Loss[] {
  const stalled = (id: string, ratio: number, from: number, to: number, most: number, who: string) =>
    loss(id, '', most * ramp(ratio, from, to), () => `${who} ${percent(ratio)} of the time`);
  return [
    ...stalled('cpu-pressure', pressure.cpuSome, 0.4, 1, 20, 'some tasks waited for CPU'),
    ...stalled('memory-pressure', pressure.memorySome, 0.1, 0.6, 30, 'some tasks waited for memory'),
    ...stalled('memory-stall', pressure.memoryFull, 0.05, 0.4, 50, 'all tasks waited for memory'),
    ...stalled('io-pressure', pressure.ioSome, 0.4, 1, 15, 'some tasks waited for I/O'),
    ...stalled('io-stall', pressure.ioFull, 0.2, 0.8, 35, 'all tasks waited for I/O'),
  ];
}
