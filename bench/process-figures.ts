import { readdir, readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';

/** Linux gives processor time in hundredths of a second (USER_HZ) whatever the kernel's own tick. */
const TICKS_PER_S = 100;

/** Processor seconds that a process used so far, user and system, all its threads (proc_pid_stat(5), fields 14 and 15). */
export async function cpuSecondsOf(pid: number): Promise<number> {
  return ticks(await readFile(`/proc/${pid}/stat`, 'utf8')) / TICKS_PER_S;
}

/** The same by thread name, summed over threads of one name. What a thread that has ended used is in none. */
export async function cpuSecondsByThread(pid: number): Promise<Map<string, number>> {
  const seconds = new Map<string, number>();
  for (const thread of await readdir(`/proc/${pid}/task`)) {
    const text = await readFile(`/proc/${pid}/task/${thread}/stat`, 'utf8').catch(() => null);
    if (text === null) continue;
    const name = Number(thread) === pid ? 'main' : text.slice(text.indexOf('(') + 1, text.lastIndexOf(')'));
    seconds.set(name, (seconds.get(name) ?? 0) + ticks(text) / TICKS_PER_S);
  }
  return seconds;
}

function ticks(stat: string): number {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return Number(fields[11]) + Number(fields[12]);
}

/** Resident megabytes (10^6 bytes), file pages included. */
export async function residentMb(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return (Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1]) * 1024) / 1e6;
}

/** The share of one core that a process used while this waited. */
export async function shareOfCore(pid: number, forMs: number): Promise<number> {
  const began = performance.now();
  const before = await cpuSecondsOf(pid);
  await sleep(forMs);
  const used = (await cpuSecondsOf(pid)) - before;
  return used / ((performance.now() - began) / 1000);
}

export function percent(share: number): string {
  return `${(share * 100).toFixed(share < 0.1 ? 2 : 1)}%`;
}
