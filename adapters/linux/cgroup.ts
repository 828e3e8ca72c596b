import { readIfThere } from './read-file.ts';

/** What a container may use and has used; null for what is not limited. */
export type CgroupFigures = {
  cpuLimit: number | null;
  cpuUsedS: number | null;
  memoryLimitBytes: number | null;
  /** Without file pages that the kernel would give back first, as the kubelet counts its working set. */
  memoryUsedBytes: number | null;
};

/** Reads this process's control group, version 2 or 1 (https://docs.kernel.org/admin-guide/cgroup-v2.html). */
export async function readCgroup(procRoot: string, sysRoot: string): Promise<CgroupFigures> {
  const membership = (await readIfThere(`${procRoot}/self/cgroup`)) ?? '';
  const root = `${sysRoot}/fs/cgroup`;
  const isV2 = (await readIfThere(`${root}/cgroup.controllers`)) !== null;
  return isV2 ? readV2(root, pathOf(membership, '')) : readV1(root, membership);
}

async function readV2(root: string, path: string): Promise<CgroupFigures> {
  const folders = ancestors(root, path);
  const own = folders[0] ?? root;
  const cpuLimits: number[] = [];
  const memoryLimits: number[] = [];
  for (const folder of folders) {
    const [quota, period] = ((await readIfThere(`${folder}/cpu.max`)) ?? 'max').split(/\s+/).map(Number);
    if (quota !== undefined && Number.isFinite(quota)) cpuLimits.push(quota / (period || 100_000));
    const bytes = Number((await readIfThere(`${folder}/memory.max`)) ?? 'max');
    if (Number.isFinite(bytes)) memoryLimits.push(bytes);
  }
  const usageUs = field(await readIfThere(`${own}/cpu.stat`), 'usage_usec');
  const current = figure(await readIfThere(`${own}/memory.current`));
  const inactive = field(await readIfThere(`${own}/memory.stat`), 'inactive_file');
  return {
    cpuLimit: least(cpuLimits),
    cpuUsedS: usageUs === null ? null : usageUs / 1e6,
    memoryLimitBytes: least(memoryLimits),
    memoryUsedBytes: current === null ? null : Math.max(0, current - (inactive ?? 0)),
  };
}

async function readV1(root: string, membership: string): Promise<CgroupFigures> {
  const cpu = await firstThere(root, 'cpu', pathOf(membership, 'cpu'), 'cpu.cfs_quota_us');
  const accounting = await firstThere(root, 'cpuacct', pathOf(membership, 'cpuacct'), 'cpuacct.usage');
  const memory = await firstThere(root, 'memory', pathOf(membership, 'memory'), 'memory.limit_in_bytes');
  const quota = figure(await readIfThere(`${cpu}/cpu.cfs_quota_us`));
  const period = figure(await readIfThere(`${cpu}/cpu.cfs_period_us`));
  const usageNs = figure(await readIfThere(`${accounting}/cpuacct.usage`));
  const current = figure(await readIfThere(`${memory}/memory.usage_in_bytes`));
  const inactive = field(await readIfThere(`${memory}/memory.stat`), 'total_inactive_file');
  return {
    cpuLimit: quota !== null && quota > 0 && period !== null && period > 0 ? quota / period : null,
    cpuUsedS: usageNs === null ? null : usageNs / 1e9,
    // "Unlimited" is a number near 2^63 there; the host's own size is smaller and wins.
    memoryLimitBytes: figure(await readIfThere(`${memory}/memory.limit_in_bytes`)),
    memoryUsedBytes: current === null ? null : Math.max(0, current - (inactive ?? 0)),
  };
}

/** In a container the path is the node's, while the mount already shows the container's own group. */
async function firstThere(root: string, controller: string, path: string, file: string): Promise<string> {
  const folder = `${root}/${controller}${path === '/' ? '' : path}`;
  return (await readIfThere(`${folder}/${file}`)) === null ? `${root}/${controller}` : folder;
}

function pathOf(membership: string, controller: string): string {
  for (const line of membership.split('\n')) {
    const [, controllers, path] = line.split(':');
    if (controllers?.split(',').includes(controller)) return path ?? '/';
  }
  return '/';
}

/** The group's folder and those above it, up to the mount's root. */
function ancestors(root: string, path: string): string[] {
  const parts = path.split('/').filter((part) => part !== '' && part !== '..');
  return Array.from({ length: parts.length + 1 }, (_, index) =>
    [root, ...parts.slice(0, parts.length - index)].join('/'),
  );
}

function figure(text: string | null): number | null {
  const value = Number(text?.trim() || Number.NaN);
  return Number.isFinite(value) ? value : null;
}

function field(text: string | null, name: string): number | null {
  const value = new RegExp(`^${name} ([0-9]+)$`, 'm').exec(text ?? '')?.[1];
  return value === undefined ? null : Number(value);
}

function least(values: readonly number[]): number | null {
  return values.length === 0 ? null : Math.min(...values);
}
