import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { isIPv4 } from 'node:net';

/** A DNS server with a zone in memory, by UDP. A name that is not in it is not known. */
export class NameServer {
  readonly zone = new Map<string, string[]>();
  ttlS = 60;
  isSilent = false;
  readonly asked: string[] = [];
  readonly #socket = createSocket('udp4');

  get address(): string {
    return `127.0.0.1:${this.#socket.address().port}`;
  }

  async start(): Promise<this> {
    this.#socket.on('message', (query, { port, address }) => {
      const reply = this.#answer(query);
      if (!this.isSilent) this.#socket.send(reply, port, address);
    });
    this.#socket.bind(0, '127.0.0.1');
    await once(this.#socket, 'listening');
    return this;
  }

  async stop(): Promise<void> {
    this.#socket.close();
    await once(this.#socket, 'close');
  }

  #answer(query: Buffer): Buffer {
    const { host, end } = question(query);
    const type = query.readUInt16BE(end);
    this.asked.push(host);
    const known = this.zone.get(host);
    const fit = (known ?? []).filter((address) => isIPv4(address) === (type === 1));
    const header = Buffer.from(query.subarray(0, 12));
    header.writeUInt16BE(known === undefined ? 0x8183 : 0x8180, 2);
    header.writeUInt16BE(fit.length, 6);
    header.writeUInt16BE(0, 8);
    header.writeUInt16BE(0, 10);
    return Buffer.concat([
      header,
      query.subarray(12, end + 4),
      ...fit.map((address) => record(address, type, this.ttlS)),
    ]);
  }
}

/** One question with one name, as a stub resolver asks it. */
export function queryFor(host: string, id = 7): Buffer {
  const labels = host.split('.').flatMap((label) => [Buffer.from([label.length]), Buffer.from(label)]);
  return Buffer.concat([
    Buffer.from([id >> 8, id & 255, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]),
    ...labels,
    Buffer.from([0, 0, 1, 0, 1]),
  ]);
}

function question(query: Buffer): { host: string; end: number } {
  const labels: string[] = [];
  let at = 12;
  for (let length = query.readUInt8(at); length > 0; length = query.readUInt8(at)) {
    labels.push(query.toString('latin1', at + 1, at + 1 + length));
    at += 1 + length;
  }
  return { host: labels.join('.').toLowerCase(), end: at + 1 };
}

function record(address: string, type: number, ttlS: number): Buffer {
  const data =
    type === 1
      ? Buffer.from(address.split('.').map(Number))
      : Buffer.from(
          address
            .split(':')
            .map((group) => group.padStart(4, '0'))
            .join(''),
          'hex',
        );
  const head = Buffer.alloc(12);
  head.writeUInt16BE(0xc00c, 0);
  head.writeUInt16BE(type, 2);
  head.writeUInt16BE(1, 4);
  head.writeUInt32BE(ttlS, 6);
  head.writeUInt16BE(data.length, 10);
  return Buffer.concat([head, data]);
}
