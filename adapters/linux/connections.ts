import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { canonicalAddress } from '../../core/policy/destination.ts';
import type { Connection, Connections } from '../../core/ports/connections.ts';

const ESTABLISHED = '01';
/** Of a socket that takes what comes from anybody. */
const OPEN = { TCP: '0A', UDP: '07' } as const;
const FILES = { tcp: 'TCP', tcp6: 'TCP', udp: 'UDP', udp6: 'UDP' } as const;
const MAX_LISTED = 4096;
const PATIENCE_MS = 3000;

/**
 * Connections of a user by the kernel's own lists (https://docs.kernel.org/networking/proc_net_tcp.html), cut with `ss --kill`
 * where the kernel can (CONFIG_INET_DIAG_DESTROY): its user is told ECONNABORTED.
 */
export function createConnections(procRoot = '/proc'): Connections {
  async function all(): Promise<Line[]> {
    const lists = Object.entries(FILES).map(async ([file, protocol]) => {
      const text = await readFile(`${procRoot}/net/${file}`, 'utf8').catch(() => '');
      return text
        .split('\n')
        .slice(1)
        .flatMap((line) => readLine(line, protocol));
    });
    return (await Promise.all(lists)).flat();
  }

  const connections: Connections = {
    async list({ binding }) {
      if (binding.kind !== 'user') return [];
      const lines = await all();
      const open = lines.filter(({ state, protocol }) => state === OPEN[protocol]);
      const listening = new Set(open.map(({ protocol, local }) => `${protocol} ${local.port}`));
      return lines
        .filter(({ state, uid }) => state === ESTABLISHED && uid === binding.uid)
        .slice(0, MAX_LISTED)
        .map(({ protocol, local, remote }): Connection => {
          // The kernel does not say who began; a port on which somebody listens here is where one came in.
          const direction = listening.has(`${protocol} ${local.port}`) ? 'ingress' : 'egress';
          const ends = { localAddress: local.address, remoteAddress: remote.address };
          return { direction, protocol, ...ends, localPort: local.port, remotePort: remote.port };
        });
    },
    async cut(connection) {
      const { protocol, localAddress, localPort, remoteAddress, remotePort } = connection;
      const from = ['src', bracketed(localAddress), 'sport', '=', `:${localPort}`];
      const to = ['dst', bracketed(remoteAddress), 'dport', '=', `:${remotePort}`];
      const kind = protocol === 'TCP' ? '--tcp' : '--udp';
      await new Promise<void>((resolve) => {
        execFile('ss', ['--kill', '--no-header', kind, ...from, ...to], { timeout: PATIENCE_MS }, () =>
          resolve(),
        );
      });
      // It says nothing of whether the kernel did it.
      return !(await all()).some(
        ({ protocol: other, state, local, remote }) =>
          other === protocol &&
          state === ESTABLISHED &&
          local.port === localPort &&
          local.address === localAddress &&
          remote.port === remotePort &&
          remote.address === remoteAddress,
      );
    },
  };
  return connections;
}

type End = { address: string; port: number };
type Line = { protocol: Connection['protocol']; local: End; remote: End; state: string; uid: number };

function readLine(text: string, protocol: Connection['protocol']): Line[] {
  const [, local, remote, state, , , , uid] = text.trim().split(/\s+/);
  const ends = [local, remote].map(readEnd);
  const [from, to] = ends;
  if (from === undefined || from === null || to === undefined || to === null || state === undefined)
    return [];
  return [{ protocol, local: from, remote: to, state, uid: Number(uid) }];
}

/** What follows a colon is a port to it otherwise. */
function bracketed(address: string): string {
  return address.includes(':') ? `[${address}]` : address;
}

/** Addresses are words of 32 bits in this machine's byte order, which is little-endian wherever Node runs. */
function readEnd(text: string | undefined): End | null {
  const match = /^([0-9A-F]{8}|[0-9A-F]{32}):([0-9A-F]{4})$/.exec(text ?? '');
  if (match?.[1] === undefined || match[2] === undefined) return null;
  const bytes = Buffer.from(match[1], 'hex');
  bytes.swap32();
  const isMapped = bytes.length === 16 && bytes.readUIntBE(6, 6) === 0xffff && bytes.readUIntBE(0, 6) === 0;
  const four = bytes.length === 4 ? bytes : isMapped ? bytes.subarray(12) : null;
  const written =
    four === null
      ? Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(2 * i).toString(16)).join(':')
      : [...four].join('.');
  const address = canonicalAddress(written)?.address;
  return address === undefined ? null : { address, port: Number.parseInt(match[2], 16) };
}
