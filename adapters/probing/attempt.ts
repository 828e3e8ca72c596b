import { connect } from 'node:net';
import { ask } from './datagram.ts';

/*
 * A program of its own: becomes another user, for good, and tries one connection from a source port of a range. Started as
 * root, so that it can be loaded from where the user may not read. What it met goes to standard output, as JSON.
 */

type Order = {
  uid: number;
  gid: number;
  address: string;
  port: number;
  protocol: 'TCP' | 'UDP';
  fromPort: number;
  toPort: number;
  timeoutMs: number;
};
type Met = { outcome: 'connected' | 'refused' | 'no-answer' | 'unable'; detail?: string };

const OUTCOMES: Readonly<Record<string, Met['outcome']>> = {
  ECONNREFUSED: 'refused',
  // How the kernel tells a sender that a filter prohibits it.
  EHOSTUNREACH: 'refused',
  EACCES: 'refused',
  EPERM: 'refused',
};
const TAKEN = ['EADDRINUSE', 'EADDRNOTAVAIL'];
const PORTS_TRIED = 8;

// cast: the program's own caller wrote it, and an attempt with anything else fails by itself
const order = JSON.parse(process.argv[2] ?? '{}') as Order;

async function attempt(to: Order, localPort: number): Promise<Met | 'taken'> {
  if (to.protocol === 'TCP') return connectTo(to, localPort);
  const { outcome, ...rest } = await ask({ ...to, localPort });
  return outcome === 'taken' ? 'taken' : { outcome, ...rest };
}

function connectTo({ address, port, timeoutMs }: Order, localPort: number): Promise<Met | 'taken'> {
  return new Promise((resolve) => {
    const socket = connect({ host: address, port, localPort, timeout: timeoutMs });
    const finish = (met: Met | 'taken') => {
      // A reset leaves no state behind that would keep the port from the next probe.
      socket.resetAndDestroy();
      resolve(met);
    };
    socket.once('connect', () => finish({ outcome: 'connected' }));
    socket.once('timeout', () => finish({ outcome: 'no-answer' }));
    socket.once('error', (error: NodeJS.ErrnoException) => {
      const code = error.code ?? '';
      if (TAKEN.includes(code)) finish('taken');
      else finish({ outcome: OUTCOMES[code] ?? 'no-answer', detail: code });
    });
  });
}

async function run(): Promise<Met> {
  try {
    if (process.getuid?.() === 0) {
      process.setgroups?.([]);
      process.setgid?.(order.gid);
      process.setuid?.(order.uid);
    }
  } catch (error) {
    return { outcome: 'unable', detail: `can't become user ${order.uid}: ${String(error)}`.slice(0, 150) };
  }
  if (process.getuid?.() !== order.uid)
    return { outcome: 'unable', detail: `only root can probe as user ${order.uid}` };
  const count = order.toPort - order.fromPort + 1;
  const first = Math.floor(Math.random() * count);
  for (let i = 0; i < Math.min(PORTS_TRIED, count); i += 1) {
    const met = await attempt(order, order.fromPort + ((first + i) % count));
    if (met !== 'taken') return met;
  }
  return { outcome: 'unable', detail: `no source port from ${order.fromPort} to ${order.toPort} is free` };
}

process.stdout.write(JSON.stringify(await run()));
