import { createSocket, type RemoteInfo, type Socket as UdpSocket } from 'node:dgram';
import { connect, createServer, isIP, type Server, type Socket } from 'node:net';
import type { Logger } from '../../core/ports/logger.ts';
import { addressesIn, failureFor } from './message.ts';
import type { NameObserver } from './names.ts';

export type ForwarderOptions = {
  listen: { host: string; port: number };
  /** As address, address:port or [address]:port; asked in turn. */
  servers: readonly string[];
  names: NameObserver;
  logger: Logger;
};

export type Forwarder = {
  start(): Promise<void>;
  /** Where it listens, once started. */
  port(): number;
  stop(): Promise<void>;
};

const MAX_WAITING = 256;
const PATIENCE_MS = 2000;
const MAX_MESSAGE_BYTES = 65_535;
const IDLE_MS = 10_000;

type Ask = (query: Buffer) => Promise<Buffer>;

/**
 * Gives DNS questions of this machine on to its resolvers and their answers back unchanged, once the addresses in them are
 * let through: a connection that follows at once meets no deny. Without it names are only looked up now and then, which
 * costs precision and nothing else.
 */
export function createForwarder(options: ForwarderOptions): Forwarder {
  return new DnsForwarder(options);
}

class DnsForwarder implements Forwarder {
  readonly #options: ForwarderOptions;
  readonly #udp: UdpSocket;
  readonly #tcp: Server;
  readonly #sockets = new Set<Socket>();
  readonly #upstream: Place[];
  #waiting = 0;
  #isRunning = false;

  constructor(options: ForwarderOptions) {
    const { listen, servers } = options;
    this.#options = options;
    this.#udp = createSocket(listen.host.includes(':') ? 'udp6' : 'udp4');
    this.#tcp = createServer((socket) => this.#serve(socket));
    // A machine whose resolver is this forwarder would ask itself.
    this.#upstream = servers
      .map(place)
      .filter(({ host, port }) => host !== listen.host || port !== listen.port);
  }

  async start(): Promise<void> {
    if (this.#isRunning) return;
    this.#isRunning = true;
    const { listen, logger } = this.#options;
    try {
      await this.#listen();
    } catch (error) {
      // Half of it would be taken for all of it by whoever asks.
      await this.stop();
      throw error;
    }
    this.#udp.on('error', (error) => logger.warn({ why: error.message }, 'dns-forwarder.failed'));
    logger.info({ host: listen.host, port: this.port() }, 'dns-forwarder.started');
  }

  async #listen(): Promise<void> {
    const { host, port } = this.#options.listen;
    this.#udp.on('message', (query, from) => void this.#reply(query, from));
    await new Promise<void>((resolve, reject) => {
      this.#udp.once('error', reject);
      this.#udp.bind(port, host, () => {
        this.#udp.off('error', reject);
        resolve();
      });
    });
    await new Promise<void>((resolve, reject) => {
      this.#tcp.once('error', reject);
      this.#tcp.listen(this.port(), host, () => {
        this.#tcp.off('error', reject);
        resolve();
      });
    });
  }

  port(): number {
    return this.#udp.address().port;
  }

  async stop(): Promise<void> {
    if (!this.#isRunning) return;
    this.#isRunning = false;
    for (const socket of this.#sockets) socket.destroy();
    await closed(this.#udp);
    await new Promise<void>((resolve) => this.#tcp.close(() => resolve()));
  }

  async #answer(query: Buffer, ask: (to: Place) => Ask): Promise<Buffer | null> {
    const { names, logger } = this.#options;
    if (this.#waiting >= MAX_WAITING) {
      logger.warn({ waiting: this.#waiting }, 'dns-forwarder.overloaded');
      return null;
    }
    this.#waiting += 1;
    try {
      for (const server of this.#upstream) {
        const reply = await ask(server)(query).catch(() => null);
        if (reply === null) continue;
        const found = addressesIn(reply);
        if (found !== null) await names.observe(found.host, found.addresses, found.ttlS);
        return reply;
      }
      return failureFor(query);
    } finally {
      this.#waiting -= 1;
    }
  }

  async #reply(query: Buffer, { address, port }: RemoteInfo): Promise<void> {
    const message = await this.#answer(query, askByUdp);
    if (message !== null && this.#isRunning) this.#udp.send(message, port, address);
  }

  #serve(socket: Socket): void {
    if (this.#sockets.size >= MAX_WAITING) {
      socket.destroy();
      return;
    }
    this.#sockets.add(socket);
    socket.setTimeout(IDLE_MS, () => socket.destroy());
    socket.on('close', () => this.#sockets.delete(socket));
    socket.on('error', () => socket.destroy());
    framed(socket, async (query) => {
      const message = await this.#answer(query, askByTcp);
      if (message === null) socket.destroy();
      else if (!socket.destroyed) socket.write(withLength(message));
    });
  }
}

type Place = { host: string; port: number };

function place(server: string): Place {
  if (isIP(server) !== 0) return { host: server, port: 53 };
  const [, six, four, port] = /^(?:\[([^\]]+)\]|([^:]+)):(\d+)$/.exec(server) ?? [];
  return { host: six ?? four ?? server, port: Number(port ?? 53) };
}

function askByUdp({ host, port }: Place): Ask {
  return (query) =>
    new Promise((resolve, reject) => {
      // A socket a question: its port, chosen by the kernel, is what a forged answer would have to guess.
      const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
      const finish = (act: () => void) => {
        clearTimeout(timer);
        socket.close();
        act();
      };
      const timer = setTimeout(() => finish(() => reject(new Error('no answer'))), PATIENCE_MS);
      socket.on('error', (error) => finish(() => reject(error)));
      socket.on('message', (reply) => {
        if (reply.length >= 2 && reply.readUInt16BE(0) === query.readUInt16BE(0))
          finish(() => resolve(reply));
      });
      if (query.length < 12) finish(() => reject(new Error('not a question')));
      else socket.connect(port, host, () => socket.send(query));
    });
}

function askByTcp({ host, port }: Place): Ask {
  return (query) =>
    new Promise((resolve, reject) => {
      const socket = connect(port, host);
      socket.setTimeout(PATIENCE_MS, () => socket.destroy(new Error('no answer')));
      socket.on('error', reject);
      socket.on('close', () => reject(new Error('it closed the connection')));
      framed(socket, async (reply) => {
        resolve(reply);
        socket.destroy();
      });
      socket.write(withLength(query));
    });
}

/** Messages on a stream have their length in front (RFC 1035, 4.2.2); one after the other. */
function framed(socket: Socket, onMessage: (message: Buffer) => Promise<void>): void {
  let held = Buffer.alloc(0);
  let last: Promise<void> = Promise.resolve();
  socket.on('data', (chunk: Buffer) => {
    held = Buffer.concat([held, chunk]);
    if (held.length > 2 * MAX_MESSAGE_BYTES) socket.destroy();
    while (held.length >= 2 && held.length >= 2 + held.readUInt16BE(0)) {
      const message = held.subarray(2, 2 + held.readUInt16BE(0));
      held = held.subarray(2 + message.length);
      last = last.then(() => onMessage(message)).catch(() => void socket.destroy());
    }
  });
}

function withLength(message: Buffer): Buffer {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(message.length);
  return Buffer.concat([length, message]);
}

function closed(socket: UdpSocket): Promise<void> {
  return new Promise((resolve) => socket.close(() => resolve()));
}
