import { mkdirSync, mkdtempSync, readFileSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createHostProbe } from '../../../adapters/linux/host-probe.ts';
import { parseCpu } from '../../../adapters/linux/proc.ts';
import type { Host } from '../../../core/model/report.ts';
import { systemClock } from '../../../core/ports/clock.ts';
import type { Observation, Probe } from '../../../core/ports/probe.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'plumbline-host-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

const never = () => new AbortController().signal;

async function read(probe: Probe): Promise<Observation & { host: Host }> {
  const observation = await probe.read(never());
  const { host } = observation.parts;
  if (host === undefined) throw new Error('no host');
  return { ...observation, host };
}

/** A machine made of files. */
function machine(files: Record<string, string>): { procRoot: string; sysRoot: string; rootDir: string } {
  const all: Record<string, string> = {
    'proc/stat': 'cpu  100 0 100 800 0 0 0 0 0 0\ncpu0 50 0 50 400 0\ncpu1 50 0 50 400 0\nintr 1\n',
    'proc/meminfo':
      'MemTotal: 1000 kB\nMemFree: 100 kB\nMemAvailable: 250 kB\nSwapTotal: 100 kB\nSwapFree: 75 kB\n',
    'proc/uptime': '123.45 200.00\n',
    'proc/loadavg': '0.50 0.40 0.30 1/100 999\n',
    'proc/self/mountinfo': '',
    'proc/sys/kernel/osrelease': '6.1.0-18-cloud-amd64\n',
    'proc/sys/kernel/hostname': 'edge 7\n',
    ...files,
  };
  for (const [path, text] of Object.entries(all)) {
    mkdirSync(dirname(join(dir, path)), { recursive: true });
    writeFileSync(join(dir, path), text);
  }
  return { procRoot: join(dir, 'proc'), sysRoot: join(dir, 'sys'), rootDir: join(dir, 'root') };
}

async function started(files: Record<string, string>, clock = systemClock): Promise<Probe> {
  const probe = createHostProbe({ clock, ...machine(files) });
  await probe.start();
  return probe;
}

describe('the host probe on this machine', () => {
  it('says what /proc and statfs say', async () => {
    const probe = createHostProbe({ clock: systemClock });
    const cpu = () => parseCpu(readFileSync('/proc/stat', 'utf8'));
    const beforeStart = cpu();
    await probe.start();
    const afterStart = cpu();
    const until = performance.now() + 400;
    // One of the CPUs is busy.
    while (performance.now() < until);
    const beforeRead = cpu();
    const { host, discovered, lost } = await read(probe);
    const afterRead = cpu();
    // The probe looked once between the first two and once between the last two: it can't have seen more or less.
    const least = (beforeRead.busyS - afterStart.busyS) / (afterRead.totalS - beforeStart.totalS);
    const most = (afterRead.busyS - beforeStart.busyS) / (beforeRead.totalS - afterStart.totalS);
    expect(host.cpu.utilization).toBeGreaterThan(least - 0.02);
    expect(host.cpu.utilization).toBeLessThan(Math.min(1, most) + 0.02);
    expect(least).toBeGreaterThan(0.3 / host.cpu.count);
    expect(host.cpu.count).toBe(afterRead.count);
    const total = Number(/MemTotal:\s+(\d+)/.exec(readFileSync('/proc/meminfo', 'utf8'))?.[1]) * 1024;
    expect(host.memory.totalBytes).toBe(total);
    const root = host.disks.find(({ mount }) => mount === '/');
    const { blocks, bsize } = statfsSync('/');
    expect(root?.totalBytes).toBe(blocks * bsize);
    expect(new Set(host.disks.map(({ mount }) => mount)).size).toBe(host.disks.length);
    expect(host.interfaces.map(({ name }) => name)).not.toContain('lo');
    expect(host.uptimeS).toBeGreaterThan(0);
    expect(lost).toBe(0);
    expect(discovered).toMatchObject({ cpus: String(afterRead.count), virtualization: expect.any(String) });
  });
});

describe('the host probe', () => {
  it('measures CPU between two reads, steal as busy, iowait as idle', async () => {
    const probe = await started({});
    writeFileSync(join(dir, 'proc/stat'), 'cpu  130 10 110 1000 50 5 5 40 25 0\ncpu0 1\ncpu1 1\n');
    const { host } = await read(probe);
    expect(host.cpu).toEqual({ utilization: 100 / 350, count: 2, busyS: 3, load1: 0.5 });
    // Too soon to say anything new.
    expect((await read(probe)).host.cpu.utilization).toBe(100 / 350);
  });

  it('reads memory, swap, uptime and labels', async () => {
    const { host, discovered } = await read(
      await started({
        'root/etc/os-release': 'NAME="Debian"\nID=debian\nVERSION_ID="12"\n',
        'sys/class/dmi/id/sys_vendor': 'Amazon EC2\n',
        'sys/class/dmi/id/product_name': 'm5.large\n',
      }),
    );
    expect(host.memory).toEqual({ totalBytes: 1_024_000, availableBytes: 256_000, utilization: 0.75 });
    expect(host.swap).toEqual({ totalBytes: 102_400, usedBytes: 25_600, utilization: 0.25 });
    expect(host.uptimeS).toBe(123.45);
    expect(host).not.toHaveProperty('pressure');
    expect(discovered).toMatchObject({
      os: 'debian',
      'os-version': '12',
      kernel: '6.1.0-18-cloud-amd64',
      provider: 'aws',
      product: 'm5.large',
      virtualization: 'vm',
      hostname: 'edge-7',
      cpus: '2',
    });
  });

  it('takes bare metal, also of a cloud, for neither VM nor container', async () => {
    const { discovered } = await read(
      await started({
        'sys/class/dmi/id/sys_vendor': 'Amazon EC2',
        'sys/class/dmi/id/product_name': 'm5.metal',
      }),
    );
    expect(discovered).toMatchObject({ virtualization: 'none', provider: 'aws' });
  });

  it('takes the limits of a container (cgroup 2) for the whole', async () => {
    let monoMs = 0;
    const probe = await started(
      {
        'root/.dockerenv': '',
        'proc/self/cgroup': '0::/\n',
        'sys/fs/cgroup/cgroup.controllers': 'cpu memory\n',
        'sys/fs/cgroup/cpu.max': '50000 100000\n',
        'sys/fs/cgroup/cpu.stat': 'usage_usec 1000000\n',
        'sys/fs/cgroup/memory.max': '512000\n',
        'sys/fs/cgroup/memory.current': '400000\n',
        'sys/fs/cgroup/memory.stat': 'anon 1\ninactive_file 144000\n',
      },
      { nowMs: () => 0, monoMs: () => monoMs },
    );
    monoMs = 10_000;
    writeFileSync(join(dir, 'sys/fs/cgroup/cpu.stat'), 'usage_usec 3000000\n');
    const { host, discovered } = await read(probe);
    expect(discovered).toMatchObject({ virtualization: 'container', cpus: '1' });
    // 2 s used of the 5 s that half a CPU has in 10 s.
    expect(host.cpu).toMatchObject({ utilization: 0.4, count: 1, busyS: 3 });
    expect(host.memory).toEqual({ totalBytes: 512_000, availableBytes: 256_000, utilization: 0.5 });
  });

  it('finds the lowest limit of a nested group, and those of version 1', async () => {
    const nested = await read(
      await started({
        'proc/1/cgroup': '0::/kubepods/pod1/c1\n',
        'proc/self/cgroup': '0::/kubepods/pod1/c1\n',
        'sys/fs/cgroup/cgroup.controllers': '',
        'sys/fs/cgroup/kubepods/pod1/memory.max': '204800\n',
        'sys/fs/cgroup/kubepods/pod1/c1/memory.max': 'max\n',
        'sys/fs/cgroup/kubepods/pod1/c1/memory.current': '102400\n',
      }),
    );
    expect(nested.host.memory).toEqual({ totalBytes: 204_800, availableBytes: 102_400, utilization: 0.5 });
    rmSync(dir, { recursive: true });
    mkdirSync(dir);
    const old = await read(
      await started({
        'root/run/.containerenv': '',
        'proc/self/cgroup': '4:memory:/docker/abc\n2:cpu,cpuacct:/docker/abc\n',
        'sys/fs/cgroup/memory/memory.limit_in_bytes': '409600\n',
        'sys/fs/cgroup/memory/memory.usage_in_bytes': '307200\n',
        'sys/fs/cgroup/memory/memory.stat': 'total_inactive_file 0\n',
        'sys/fs/cgroup/cpu/cpu.cfs_quota_us': '-1\n',
        'sys/fs/cgroup/cpu/cpu.cfs_period_us': '100000\n',
      }),
    );
    expect(old.host.memory).toMatchObject({ totalBytes: 409_600, utilization: 0.75 });
    expect(old.host.cpu.count).toBe(2);
  });

  it('does not let the limits of its own service shrink a host', async () => {
    const { host } = await read(
      await started({
        'proc/self/cgroup': '0::/system.slice/plumbline.service\n',
        'sys/fs/cgroup/cgroup.controllers': '',
        'sys/fs/cgroup/system.slice/plumbline.service/memory.max': '1000\n',
        'sys/fs/cgroup/system.slice/plumbline.service/memory.current': '900\n',
      }),
    );
    expect(host.memory.totalBytes).toBe(1_024_000);
  });

  it('reads pressure, and interfaces with their state', async () => {
    const { host } = await read(
      await started({
        'proc/pressure/cpu': 'some avg10=12.50 avg60=0.00 avg300=0.00 total=1\n',
        'proc/pressure/memory':
          'some avg10=2.00 avg60=0 avg300=0 total=1\nfull avg10=1.00 avg60=0 avg300=0 total=1\n',
        'proc/pressure/io':
          'some avg10=0.00 avg60=0 avg300=0 total=1\nfull avg10=0.00 avg60=0 avg300=0 total=1\n',
        'proc/net/dev':
          'Inter-|   Receive\n face |bytes\n    lo: 9 9 0 0 0 0 0 0 9 9 0 0 0 0 0 0\n  eth0:1000 10 1 0 0 0 0 0 2000 20 2 0 0 0 0 0\n  eth1: 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n',
        'sys/class/net/eth0/operstate': 'up\n',
        'sys/class/net/eth1/operstate': 'down\n',
      }),
    );
    expect(host.pressure).toEqual({
      cpuSome: 0.125,
      memorySome: 0.02,
      memoryFull: 0.01,
      ioSome: 0,
      ioFull: 0,
    });
    expect(host.interfaces).toEqual([
      { name: 'eth0', up: true, rxBytes: 1000, txBytes: 2000, rxErrors: 1, txErrors: 2 },
      { name: 'eth1', up: false, rxBytes: 0, txBytes: 0, rxErrors: 0, txErrors: 0 },
    ]);
  });

  it('throws when /proc is not there', async () => {
    const probe = await started({});
    rmSync(join(dir, 'proc/meminfo'));
    await expect(probe.read(never())).rejects.toThrow('meminfo');
  });
});

describe('disks', () => {
  const MOUNTS = [
    '22 27 0:21 / /proc rw - proc proc rw',
    '27 1 254:0 / / rw - ext4 /dev/vda rw',
    '42 27 254:0 /run/netns /run/netns rw - ext4 /dev/vda rw',
    '50 27 254:1 / /data\\040disk rw - xfs /dev/vdb rw',
    '51 27 0:50 / /mnt/nfs rw - nfs4 server:/export rw',
    '52 27 0:51 / /snap/core rw - squashfs /dev/loop0 ro',
    '53 27 0:60 /@ /btr rw - btrfs /dev/vdc rw',
    '54 27 0:61 /@home /btr/home rw - btrfs /dev/vdc rw',
    '55 27 0:62 / /tmp rw - tmpfs tmpfs rw',
  ].join('\n');

  it('are real file systems, each once', async () => {
    const asked: string[] = [];
    const probe = createHostProbe({
      clock: systemClock,
      ...machine({ 'proc/self/mountinfo': MOUNTS }),
      statfs: (path) => {
        asked.push(path);
        return statfs('/');
      },
    });
    await probe.start();
    const { host } = await read(probe);
    expect(asked.sort()).toEqual(['/', '/btr', '/data disk', '/mnt/nfs']);
    expect(host.disks.map(({ mount }) => mount)).toEqual(['/', '/btr', '/data disk', '/mnt/nfs']);
  });

  it('that do not answer are lost, cost no more than the deadline, and are not asked again meanwhile', async () => {
    const hanging = Promise.withResolvers<void>();
    let asked = 0;
    let answered = 0;
    const probe = createHostProbe({
      clock: systemClock,
      ...machine({ 'proc/self/mountinfo': MOUNTS }),
      statfs: async (path) => {
        if (path !== '/mnt/nfs') return statfs('/').finally(() => answered++);
        asked += 1;
        return hanging.promise.then(() => statfs('/'));
      },
    });
    await probe.start();
    for (let round = 1; round <= 3; round += 1) {
      const deadline = new AbortController();
      const reading = probe.read(deadline.signal);
      await expect.poll(() => answered).toBe(3 * round);
      deadline.abort();
      const { parts, lost } = await reading;
      expect(lost).toBe(1);
      expect(parts.host?.disks.map(({ mount }) => mount)).toEqual(['/', '/btr', '/data disk']);
    }
    expect(asked).toBe(1);
    hanging.resolve();
    await expect.poll(async () => (await read(probe)).lost).toBe(0);
    expect(asked).toBe(2);
  });
});
