import type { Host, NetworkInterface } from '../../core/model/report.ts';

/*
 * What /proc says, read from its text: https://docs.kernel.org/filesystems/proc.html. Ticks are 1/100 s for every user
 * program, whatever the kernel counts in.
 */
const TICKS_PER_S = 100;

export type CpuTimes = { busyS: number; totalS: number; count: number };

/** /proc/stat. Stolen time counts as busy: the site could not use it. Guest time is in user time already. */
export function parseCpu(stat: string): CpuTimes {
  let count = 0;
  let times: CpuTimes | null = null;
  for (const line of stat.split('\n')) {
    if (!line.startsWith('cpu')) break;
    if (line[3] !== ' ') {
      count += 1;
      continue;
    }
    const [user = 0, nice = 0, system = 0, idle = 0, iowait = 0, irq = 0, softirq = 0, steal = 0] = line
      .slice(3)
      .trim()
      .split(/\s+/)
      .map(Number);
    const busy = user + nice + system + irq + softirq + steal;
    times = { busyS: busy / TICKS_PER_S, totalS: (busy + idle + iowait) / TICKS_PER_S, count: 0 };
  }
  if (times === null) throw new Error('/proc/stat has no line for all CPUs');
  return { ...times, count: Math.max(count, 1) };
}

/** /proc/meminfo. Kernels before 3.14 have no MemAvailable; free, buffers and page cache come near it. */
export function parseMemory(meminfo: string): Pick<Host, 'memory' | 'swap'> {
  const kib = new Map<string, number>();
  for (const line of meminfo.split('\n')) {
    const [name, value] = line.split(':');
    if (name !== undefined && value !== undefined) kib.set(name, Number.parseInt(value, 10));
  }
  const bytes = (name: string): number => (kib.get(name) ?? 0) * 1024;
  const totalBytes = bytes('MemTotal');
  const availableBytes = Math.min(
    totalBytes,
    kib.has('MemAvailable') ? bytes('MemAvailable') : bytes('MemFree') + bytes('Buffers') + bytes('Cached'),
  );
  const swapBytes = bytes('SwapTotal');
  const usedBytes = Math.max(0, swapBytes - bytes('SwapFree'));
  return {
    memory: { totalBytes, availableBytes, utilization: ratio(totalBytes - availableBytes, totalBytes) },
    swap: { totalBytes: swapBytes, usedBytes, utilization: ratio(usedBytes, swapBytes) },
  };
}

/** /proc/net/dev, without loopback; whether one is up is not said there. */
export function parseInterfaces(dev: string): Omit<NetworkInterface, 'up'>[] {
  return dev
    .split('\n')
    .slice(2)
    .flatMap((line) => {
      const colon = line.indexOf(':');
      const name = line.slice(0, colon).trim();
      if (colon < 0 || name === 'lo' || name.length > 63) return [];
      const numbers = line
        .slice(colon + 1)
        .trim()
        .split(/\s+/)
        .map(Number);
      const [rxBytes = 0, , rxErrors = 0] = numbers;
      const [txBytes = 0, , txErrors = 0] = numbers.slice(8);
      return [{ name, rxBytes, txBytes, rxErrors, txErrors }];
    });
}

/** One file of /proc/pressure: shares of the last 10 s, 0 for a line that the kernel does not write. */
export function parsePressure(text: string): { some: number; full: number } {
  const share = (line: string): number => {
    const percent = new RegExp(`^${line} avg10=([0-9.]+)`, 'm').exec(text)?.[1];
    return Math.min(1, Number(percent ?? 0) / 100);
  };
  return { some: share('some'), full: share('full') };
}

export type Mount = { path: string; root: string; device: string; type: string; source: string };

/** /proc/self/mountinfo; spaces in paths are written in octal there. */
export function parseMounts(mountinfo: string): Mount[] {
  return mountinfo.split('\n').flatMap((line) => {
    const [left, right] = line.split(' - ');
    const [, , device, root, path] = (left ?? '').split(' ');
    const [type, source] = (right ?? '').split(' ');
    if (device === undefined || root === undefined || path === undefined) return [];
    if (type === undefined || source === undefined) return [];
    return [{ device, root: unescapeOctal(root), path: unescapeOctal(path), type, source }];
  });
}

function unescapeOctal(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
}

/** From 0 to 1; 0 when there is nothing to have a share of. */
export function ratio(part: number, whole: number): number {
  return whole > 0 ? Math.min(1, Math.max(0, part / whole)) : 0;
}
