import type { StatsFs } from 'node:fs';
import { statfs } from 'node:fs/promises';
import type { Disk } from '../../core/model/report.ts';
import { type Mount, parseMounts, ratio } from './proc.ts';
import { readIfThere } from './read-file.ts';

/** In memory, made up by the kernel, or read-only by nature and so always full. */
const NOT_DISKS = new Set(
  `autofs bdev binder binfmt_misc bpf cgroup cgroup2 configfs cramfs debugfs devpts devtmpfs devfs efivarfs erofs
  fusectl hugetlbfs iso9660 mqueue nsfs overlay proc pstore ramfs rpc_pipefs securityfs selinuxfs squashfs sysfs tmpfs
  tracefs udf fuse.gvfsd-fuse fuse.lxcfs fuse.portal fuse.snapfuse`.split(/\s+/),
);
/** Files that container runtimes mount from the node's disk. */
const RUNTIME_FILES = new Set(['/etc/hosts', '/etc/hostname', '/etc/resolv.conf', '/dev/termination-log']);
const MAX_DISKS = 16;
const STATFS_TIMEOUT_MS = 1000;
/** A dead network file system holds a thread of the pool until it answers; two leave the others room to work. */
const MAX_HANGING = 2;

/** The mounts worth measuring: one for each file system, the shortest path of those that show it whole. */
function chooseMounts(mounts: readonly Mount[]): Mount[] {
  const byDevice = new Map<string, Mount>();
  for (const mount of mounts) {
    const isContainerRoot = mount.type === 'overlay' && mount.path === '/';
    if ((NOT_DISKS.has(mount.type) && !isContainerRoot) || RUNTIME_FILES.has(mount.path)) continue;
    if (mount.path.length > 255) continue;
    // Subvolumes of btrfs have device numbers of their own but share one source.
    const key = mount.source.startsWith('/dev/') ? mount.source : mount.device;
    const known = byDevice.get(key);
    if (known === undefined || rank(mount) < rank(known)) byDevice.set(key, mount);
  }
  return [...byDevice.values()];
}

function rank(mount: Mount): number {
  return (mount.root === '/' ? 0 : 1000) + mount.path.length;
}

type StatFs = (path: string) => Promise<StatsFs>;

/** Reads how full the disks are; one that does not answer in time counts as lost, and is asked again once it did. */
export function createDisks(options: { procRoot: string; statfs?: StatFs; timeoutMs?: number }): {
  read(signal: AbortSignal): Promise<{ disks: Disk[]; lost: number }>;
} {
  const ask = options.statfs ?? ((path) => statfs(path));
  const timeoutMs = options.timeoutMs ?? STATFS_TIMEOUT_MS;
  const hanging = new Set<string>();

  async function measure(mount: Mount, signal: AbortSignal): Promise<Disk | 'lost' | null> {
    if (hanging.has(mount.path) || hanging.size >= MAX_HANGING) return 'lost';
    const answer = ask(mount.path).then(
      (figures) => toDisk(mount.path, figures),
      // Unmounted meanwhile, or another user's: nothing that this probe could ever see.
      () => null,
    );
    let settled = false;
    void answer.then(() => {
      settled = true;
      hanging.delete(mount.path);
    });
    const result = await Promise.race([answer, expiry(timeoutMs, signal)]);
    if (result === 'lost' && !settled) hanging.add(mount.path);
    return result;
  }

  return {
    async read(signal) {
      const text = await readIfThere(`${options.procRoot}/self/mountinfo`, signal);
      const disks: Disk[] = [];
      let lost = 0;
      const asked = chooseMounts(parseMounts(text ?? '')).map((mount) => measure(mount, signal));
      for (const result of await Promise.all(asked))
        if (result === 'lost') lost += 1;
        else if (result !== null) disks.push(result);
      // More than fit: the fullest are the ones that matter.
      disks.sort((a, b) => b.utilization - a.utilization);
      return { disks: disks.slice(0, MAX_DISKS).sort((a, b) => (a.mount < b.mount ? -1 : 1)), lost };
    },
  };
}

function expiry(timeoutMs: number, signal: AbortSignal): Promise<'lost'> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      resolve('lost');
    };
    const timer = setTimeout(done, timeoutMs);
    timer.unref();
    signal.addEventListener('abort', done, { once: true });
  });
}

/** As df counts: what only root may use is neither used nor available. */
function toDisk(mount: string, figures: StatsFs): Disk | null {
  const { bsize, blocks, bfree, bavail, files, ffree } = figures;
  if (blocks === 0) return null;
  const used = blocks - bfree;
  return {
    mount,
    totalBytes: Math.min(blocks * bsize, Number.MAX_SAFE_INTEGER),
    availableBytes: Math.min(Math.max(0, bavail) * bsize, Number.MAX_SAFE_INTEGER),
    utilization: ratio(used, used + bavail),
    ...(files > 0 && { inodesUtilization: ratio(files - ffree, files) }),
  };
}
