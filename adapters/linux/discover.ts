import { readlink } from 'node:fs/promises';
import { arch } from 'node:os';
import { type Labels, toLabelValue } from '../../core/model/site.ts';
import { readIfThere } from './read-file.ts';

export type Roots = { rootDir: string; procRoot: string; sysRoot: string };

/** Names as in Kubernetes' label kubernetes.io/arch. */
const ARCHITECTURES: Readonly<Record<string, string>> = { x64: 'amd64', ia32: '386' };

/** What the firmware calls its maker, for the clouds that can be told by it. */
const PROVIDERS: readonly (readonly [RegExp, string])[] = [
  [/Amazon EC2/i, 'aws'],
  [/^Google/i, 'gcp'],
  [/Microsoft Corporation/i, 'azure'],
  [/OracleCloud/i, 'oci'],
  [/DigitalOcean/i, 'digitalocean'],
  [/Hetzner/i, 'hetzner'],
  [/Alibaba/i, 'alibaba'],
  [/Tencent/i, 'tencent'],
  [/Scaleway/i, 'scaleway'],
  [/Linode|Akamai/i, 'linode'],
  [/Vultr/i, 'vultr'],
  [/OpenStack/i, 'openstack'],
  [/VMware/i, 'vmware'],
];
const VM_MAKERS =
  /QEMU|KVM|VMware|VirtualBox|innotek|Xen|Bochs|Parallels|Virtual Machine|Google Compute Engine|Amazon EC2|OpenStack|DigitalOcean|Hetzner|Alibaba Cloud ECS|Firecracker|Apple Virtualization|oVirt|RHEV/i;
const CONTAINER_GROUPS = /docker|kubepods|containerd|libpod|crio|lxc|buildkit/;

/** Labels that hardly ever change while a machine runs. What can't be known is left out. */
export async function discover(roots: Roots, cpus: number): Promise<Labels> {
  const { rootDir, procRoot, sysRoot } = roots;
  const release = (await readIfThere(`${rootDir}/etc/os-release`)) ?? '';
  const dmi = async (name: string) => (await readIfThere(`${sysRoot}/class/dmi/id/${name}`))?.trim() ?? '';
  const vendor = await dmi('sys_vendor');
  const product = await dmi('product_name');
  const firmware = `${vendor} ${product} ${await dmi('chassis_asset_tag')}`;
  const found: Record<string, string | null | undefined> = {
    os: osRelease(release, 'ID') ?? 'linux',
    'os-version': osRelease(release, 'VERSION_ID'),
    kernel: await readIfThere(`${procRoot}/sys/kernel/osrelease`),
    arch: ARCHITECTURES[arch()] ?? arch(),
    provider: PROVIDERS.find(([pattern]) => pattern.test(firmware.trim()))?.[1] ?? vendor,
    product: product,
    virtualization: await virtualization(roots, firmware),
    cpus: String(cpus),
    hostname: await readIfThere(`${procRoot}/sys/kernel/hostname`),
  };
  const labels: Labels = {};
  for (const [name, text] of Object.entries(found)) {
    const value = toLabelValue(text?.trim() ?? '');
    if (value !== '') labels[name] = value;
  }
  return labels;
}

async function virtualization(roots: Roots, firmware: string): Promise<'container' | 'vm' | 'none'> {
  if (await isContainer(roots)) return 'container';
  if (VM_MAKERS.test(firmware) && !/\.metal\b/.test(firmware)) return 'vm';
  if ((await readIfThere(`${roots.sysRoot}/hypervisor/type`)) !== null) return 'vm';
  // x86 hypervisors set this bit for their guests; small ones show no firmware at all.
  const cpu = (await readIfThere(`${roots.procRoot}/cpuinfo`)) ?? '';
  return /^flags\s*:.*\bhypervisor\b/m.test(cpu) ? 'vm' : 'none';
}

/** The number of the first process namespace, which the kernel fixes (PROC_PID_INIT_INO in its uapi). */
const FIRST_PID_NAMESPACE = 'pid:[4026531836]';

/**
 * No single sign is there in every runtime. In the machine's first process namespace it is none, whatever the signs: a
 * machine whose disk was made from a container's image, or an agent with `hostPID` that is there for the host.
 */
export async function isContainer({ rootDir, procRoot, sysRoot }: Roots): Promise<boolean> {
  const namespace = await readlink(`${procRoot}/self/ns/pid`).catch(() => null);
  if (namespace === FIRST_PID_NAMESPACE) return false;
  const signs = [`${rootDir}/.dockerenv`, `${rootDir}/run/.containerenv`, `${rootDir}/run/systemd/container`];
  for (const sign of signs) if ((await readIfThere(sign)) !== null) return true;
  if (CONTAINER_GROUPS.test((await readIfThere(`${procRoot}/1/cgroup`)) ?? '')) return true;
  // The root of the real hierarchy has no type; one at the mount's root means it is a part of a larger one.
  return (await readIfThere(`${sysRoot}/fs/cgroup/cgroup.type`)) !== null;
}

function osRelease(text: string, name: string): string | undefined {
  return new RegExp(`^${name}="?([^"\n]*)"?$`, 'm').exec(text)?.[1];
}
