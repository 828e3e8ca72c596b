import { createSocket } from 'node:dgram';

export type Asked = { address: string; port: number; timeoutMs: number; localPort?: number };
type Answer = { outcome: 'connected' } | { outcome: 'refused' | 'no-answer' | 'taken'; detail?: string };

/** How the kernel tells a sender that a filter prohibits it: at once on this machine, by ICMP from one on the way. */
const PROHIBITED = ['EPERM', 'EACCES', 'EHOSTUNREACH'];
const TAKEN = ['EADDRINUSE', 'EADDRNOTAVAIL'];
/** A lost datagram is no answer that anybody gave. */
const TIMES = 3;

/**
 * Asks over UDP, where only somebody's word tells anything: any answer means that question and answer came through, and
 * `refused` that a filter said so. Silence says nothing (lost, dropped, or nobody who answers such a question), nor does that
 * nobody listens there: both are `no-answer`, never a refusal.
 */
export function ask({ address, port, timeoutMs, localPort = 0 }: Asked): Promise<Answer> {
  return new Promise((resolve) => {
    const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
    const timers: NodeJS.Timeout[] = [];
    let isOver = false;
    const finish = (answer: Answer) => {
      if (isOver) return;
      isOver = true;
      for (const timer of timers) clearTimeout(timer);
      socket.close(() => resolve(answer));
    };
    const fail = ({ code = '' }: NodeJS.ErrnoException) => {
      if (TAKEN.includes(code)) finish({ outcome: 'taken' });
      else finish({ outcome: PROHIBITED.includes(code) ? 'refused' : 'no-answer', detail: code });
    };
    const text = questionFor(port);
    const send = () => socket.send(text, (error) => error !== null && fail(error));
    socket.on('error', fail).on('message', () => finish({ outcome: 'connected' }));
    socket.bind(localPort, () => {
      // Connected, so that it hears of what ICMP says, and of nobody else's datagrams. Unconnected (no route leads there),
      // sending would throw.
      socket.connect(port, address, (error?: NodeJS.ErrnoException) => {
        if (error !== undefined) return fail(error);
        for (let i = 0; i < TIMES; i += 1) timers.push(setTimeout(send, (i * timeoutMs) / TIMES));
      });
    });
    timers.push(setTimeout(() => finish({ outcome: 'no-answer' }), timeoutMs));
  });
}

/** What a service of that port answers to: the name servers of the root, or the time. Anything else gets a byte. */
function questionFor(port: number): Buffer {
  if (port === 53) {
    const query = Buffer.alloc(17);
    query.writeUInt16BE(Math.floor(Math.random() * 65_536), 0);
    query.writeUInt16BE(0x0100, 2);
    query.writeUInt16BE(1, 4);
    query.writeUInt16BE(2, 13);
    query.writeUInt16BE(1, 15);
    return query;
  }
  // NTP version 4, mode client (RFC 5905, 7.3).
  if (port === 123) return Buffer.concat([Buffer.from([0x23]), Buffer.alloc(47)]);
  return Buffer.alloc(1);
}
