import type { Host, NetworkInterface, Pressure } from '../../core/model/report.ts';
import type { Labels } from '../../core/model/site.ts';
import type { Clock } from '../../core/ports/clock.ts';
import type { Observation, Probe } from '../../core/ports/probe.ts';
import { readCgroup } from './cgroup.ts';
import { discover, isContainer } from './discover.ts';
import { createDisks } from './disks.ts';
import { parseCpu, parseInterfaces, parseMemory, parsePressure, ratio } from './proc.ts';
import { readIfThere } from './read-file.ts';

export type HostProbeOptions = {
  clock: Clock;
  procRoot?: string;
  sysRoot?: string;
  /** Where /etc/os-release and the marks of container runtimes are looked for. */
  rootDir?: string;
  statfs?: Parameters<typeof createDisks>[0]['statfs'];
};

const MAX_INTERFACES = 16;
/** /proc/stat counts in 10 ms: over less than this its differences say little. */
const MIN_SPAN_S = 0.05;

/** `countedS` is CPU time that could have been used until then. */
type CpuSample = { busyS: number; countedS: number; count: number };

/**
 * This machine from /proc and /sys. In a container, where its control group may use less than the machine has, the
 * group's limits are the whole: a process on a host that limits only itself does not shrink the host.
 */
export function createHostProbe(options: HostProbeOptions): Probe {
  const { clock, procRoot = '/proc', sysRoot = '/sys', rootDir = '' } = options;
  const disks = createDisks({ procRoot, ...(options.statfs && { statfs: options.statfs }) });
  let labels: Labels = {};
  let contained = false;
  let utilizationSince = createUtilization();

  const must = async (name: string, signal?: AbortSignal): Promise<string> => {
    const text = await readIfThere(`${procRoot}/${name}`, signal);
    if (text === null) throw new Error(`${procRoot}/${name} can't be read`);
    return text;
  };

  async function sampleCpu(stat: string): Promise<{ sample: CpuSample; limits: Limits }> {
    const cpu = parseCpu(stat);
    const group = contained ? await readCgroup(procRoot, sysRoot) : null;
    const limits = { totalBytes: group?.memoryLimitBytes ?? null, usedBytes: group?.memoryUsedBytes ?? null };
    const { cpuLimit = null, cpuUsedS = null } = group ?? {};
    if (cpuLimit === null || cpuUsedS === null || cpuLimit >= cpu.count)
      return { sample: { busyS: cpu.busyS, countedS: cpu.totalS, count: cpu.count }, limits };
    const countedS = (clock.monoMs() / 1000) * cpuLimit;
    return { sample: { busyS: cpuUsedS, countedS, count: Math.max(1, Math.ceil(cpuLimit)) }, limits };
  }

  return {
    name: 'host',
    async start() {
      contained = await isContainer({ rootDir, procRoot, sysRoot });
      const { sample } = await sampleCpu(await must('stat'));
      utilizationSince(sample);
      labels = await discover({ rootDir, procRoot, sysRoot }, sample.count);
    },
    async read(signal): Promise<Observation> {
      const [stat, meminfo, uptime, loadavg, dev, pressure, filled] = await Promise.all([
        must('stat', signal),
        must('meminfo', signal),
        must('uptime', signal),
        must('loadavg', signal),
        readIfThere(`${procRoot}/net/dev`, signal),
        readPressure(procRoot, signal),
        disks.read(signal),
      ]);
      const { sample, limits } = await sampleCpu(stat);
      const { memory, swap } = parseMemory(meminfo);
      const host: Host = {
        cpu: {
          utilization: utilizationSince(sample),
          count: sample.count,
          busyS: sample.busyS,
          load1: Number.parseFloat(loadavg) || 0,
        },
        memory: withinLimit(memory, limits),
        swap,
        disks: filled.disks,
        interfaces: await withState(parseInterfaces(dev ?? ''), sysRoot),
        ...(pressure && { pressure }),
        uptimeS: Number.parseFloat(uptime) || 0,
      };
      return { parts: { host }, discovered: labels, lost: filled.lost };
    },
    async stop() {
      utilizationSince = createUtilization();
    },
  };
}

/** The share that was used since the sample before; the last one again when too little time went by. */
function createUtilization(): (sample: CpuSample) => number {
  let previous: CpuSample | null = null;
  let utilization = 0;
  return (sample) => {
    const spanS = previous === null ? 0 : sample.countedS - previous.countedS;
    if (previous !== null && spanS < MIN_SPAN_S) return utilization;
    utilization = ratio(sample.busyS - (previous?.busyS ?? sample.busyS), spanS);
    previous = sample;
    return utilization;
  };
}

type Limits = { totalBytes: number | null; usedBytes: number | null };

function withinLimit(memory: Host['memory'], { totalBytes, usedBytes }: Limits): Host['memory'] {
  if (totalBytes === null || usedBytes === null || totalBytes >= memory.totalBytes) return memory;
  const availableBytes = Math.min(memory.availableBytes, Math.max(0, totalBytes - usedBytes));
  return { totalBytes, availableBytes, utilization: ratio(totalBytes - availableBytes, totalBytes) };
}

/** The busiest when there are more than fit; a cluster's node may have hundreds. */
async function withState(
  interfaces: Omit<NetworkInterface, 'up'>[],
  sysRoot: string,
): Promise<NetworkInterface[]> {
  const busiest = interfaces
    .sort((a, b) => b.rxBytes + b.txBytes - a.rxBytes - a.txBytes || (a.name < b.name ? -1 : 1))
    .slice(0, MAX_INTERFACES);
  return Promise.all(
    busiest.map(async (each) => {
      const state = (await readIfThere(`${sysRoot}/class/net/${each.name}/operstate`))?.trim();
      // Drivers without a notion of carrier (tunnels) stay `unknown` while they work; /sys may be another namespace's.
      return { ...each, up: state === 'up' || state === 'unknown' || state === undefined };
    }),
  );
}

async function readPressure(procRoot: string, signal: AbortSignal): Promise<Pressure | null> {
  const [cpu, memory, io] = await Promise.all(
    (['cpu', 'memory', 'io'] as const).map((name) => readIfThere(`${procRoot}/pressure/${name}`, signal)),
  );
  if (typeof cpu !== 'string' || typeof memory !== 'string' || typeof io !== 'string') return null;
  const [ofMemory, ofIo] = [parsePressure(memory), parsePressure(io)];
  return {
    cpuSome: parsePressure(cpu).some,
    memorySome: ofMemory.some,
    memoryFull: ofMemory.full,
    ioSome: ofIo.some,
    ioFull: ofIo.full,
  };
}
