import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createForwarder, type Forwarder } from '../../../adapters/dns/forwarder.ts';
import { addressesIn } from '../../../adapters/dns/message.ts';
import { NameServer, queryFor } from './name-server.ts';

const quiet = { debug() {}, info() {}, warn() {}, error() {} };
let server: NameServer;
let forwarder: Forwarder;
let seen: string[];
/** Holds up the set that is filled before the answer. */
let filled: Promise<void>;

beforeEach(async () => {
  seen = [];
  filled = Promise.resolve();
  server = await new NameServer().start();
  server.zone.set('api.example', ['192.0.2.1', '192.0.2.2']);
  forwarder = createForwarder({
    listen: { host: '127.0.0.1', port: 0 },
    servers: [server.address],
    names: {
      observe: async (host, addresses, ttlS) => {
        await filled;
        seen.push(`${host} ${addresses.join(' ')} ${ttlS}`);
      },
    },
    logger: quiet,
  });
  await forwarder.start();
});
afterEach(async () => {
  await forwarder.stop();
  await server.stop();
});

async function ask(query: Buffer): Promise<Buffer> {
  const socket = createSocket('udp4');
  socket.send(query, forwarder.port(), '127.0.0.1');
  const [reply] = await once(socket, 'message');
  socket.close();
  return reply;
}

describe('the forwarder', () => {
  it('gives the answer once its addresses are let through', async () => {
    const gate = Promise.withResolvers<void>();
    filled = gate.promise;
    let isAnswered = false;
    const asked = ask(queryFor('api.example', 4711)).then((reply) => {
      isAnswered = true;
      return reply;
    });
    await expect.poll(() => server.asked.length).toBe(1);
    expect(isAnswered).toBe(false);
    gate.resolve();
    const reply = await asked;
    expect(seen).toEqual(['api.example 192.0.2.1 192.0.2.2 60']);
    expect(reply.readUInt16BE(0)).toBe(4711);
    expect(addressesIn(reply)?.addresses).toEqual(['192.0.2.1', '192.0.2.2']);
  });

  it('gives on what has no address, and answers with a failure when nobody answers it', async () => {
    expect((await ask(queryFor('unknown.example'))).readUInt8(3) & 15).toBe(3);
    server.isSilent = true;
    expect((await ask(queryFor('api.example'))).readUInt8(3) & 15).toBe(2);
    expect(seen).toEqual([]);
  });

  it('that can not have its port over TCP leaves it over UDP too', async () => {
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
    const address = taken.address();
    if (address === null || typeof address === 'string') throw new Error('it listens on a port');
    const listen = { host: '127.0.0.1', port: address.port };
    const half = createForwarder({ listen, servers: [], names: { observe: async () => {} }, logger: quiet });
    await expect(half.start()).rejects.toMatchObject({ code: 'EADDRINUSE' });
    const own = createSocket('udp4');
    await new Promise<void>((resolve, reject) =>
      own.once('error', reject).bind(listen.port, listen.host, resolve),
    );
    await new Promise<void>((resolve) => own.close(() => resolve()));
    await new Promise((resolve) => taken.close(resolve));
  });

  it('is not ended by what is no question', async () => {
    const socket = createSocket('udp4');
    for (const bytes of [Buffer.alloc(0), Buffer.from([1]), Buffer.alloc(11, 255)])
      socket.send(bytes, forwarder.port(), '127.0.0.1');
    expect(addressesIn(await ask(queryFor('api.example')))?.host).toBe('api.example');
    socket.close();
  });

  it('serves TCP by TCP, and closes it where nobody answers', async () => {
    const socket = connect(forwarder.port(), '127.0.0.1');
    const query = queryFor('api.example');
    socket.write(Buffer.concat([Buffer.from([0, query.length]), query]));
    const [reply] = await once(socket, 'data');
    // The name server has no TCP, so that this is the forwarder's own failure.
    expect(reply.readUInt8(5) & 15).toBe(2);
    socket.destroy();
  });
});

describe('a DNS message', () => {
  it('of any bytes is read or not, and never throws or hangs', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => void addressesIn(Buffer.from(bytes))),
    );
    const reply = Buffer.concat([
      Buffer.from([0, 7, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]),
      Buffer.from([0xc0, 12, 0, 1, 0, 1]),
    ]);
    expect(addressesIn(reply)).toBeNull();
  });
});
