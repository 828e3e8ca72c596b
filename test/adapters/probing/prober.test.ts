import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { createServer, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createConnections } from '../../../adapters/linux/connections.ts';
import { createProber } from '../../../adapters/probing/prober.ts';
import type { Workload } from '../../../core/ports/enforcer.ts';
import type { WorkloadProber } from '../../../core/ports/workload-prober.ts';

const PORTS = { from: 65_300, to: 65_399 };
const isRoot = process.getuid?.() === 0;
/** Somebody whom this machine does not know, where this test may become anybody. */
const UID = isRoot ? 40_123 : (process.getuid?.() ?? 0);
const workload: Workload = { name: 'checkout', labels: {}, binding: { kind: 'user', uid: UID } };
let prober: WorkloadProber;
let server: Server;
let visitors: Socket[];

beforeEach(async () => {
  visitors = [];
  prober = createProber(PORTS);
  server = createServer((socket) => {
    visitors.push(socket);
    socket.on('error', () => undefined);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});
afterEach(async () => {
  await prober.stop();
  for (const socket of visitors) socket.destroy();
  await new Promise((resolve) => server.close(resolve));
});

function target() {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('it listens on a port');
  return { address: '127.0.0.1', port: address.port, protocol: 'TCP' as const };
}

describe('a probe', () => {
  it('connects as the workload, and once more as the collector', async () => {
    expect(await prober.probe(workload, target())).toEqual({ outcome: 'connected', control: 'connected' });
    expect(visitors.length).toBe(2);
  });

  it('comes from the ports that are counted apart, and from no other', async () => {
    const { port } = target();
    const taken = createProber({ from: port, to: port });
    expect(await taken.probe(workload, target())).toMatchObject({
      outcome: 'unable',
      detail: expect.stringMatching(/no source port/),
    });
    await taken.stop();
  });

  it('that is refused says so, and that the target answers nobody', async () => {
    const to = target();
    await new Promise((resolve) => server.close(resolve));
    expect(await prober.probe(workload, to)).toMatchObject({ outcome: 'refused', control: 'no-answer' });
  });

  it("of what it can't be is told as such, and never guessed", async () => {
    const behind: Workload = { ...workload, binding: { kind: 'interface', name: 'veth0' } };
    expect(await prober.probe(behind, target())).toMatchObject({ outcome: 'unable', control: 'unable' });
  });

  it('is over when the collector stops', async () => {
    const probing = prober.probe(workload, target());
    await prober.stop();
    expect((await probing).outcome).toBe('unable');
  });
});

describe('a probe over UDP', () => {
  let answering: UdpSocket;
  let sources: number[];
  let answers: (question: Buffer) => boolean;
  beforeEach(async () => {
    sources = [];
    answers = () => true;
    answering = createSocket('udp4');
    answering.on('message', (question, { port, address }) => {
      sources.push(port);
      if (answers(question)) answering.send('yes', port, address);
    });
    await new Promise<void>((resolve) => answering.bind(0, '127.0.0.1', resolve));
  });
  afterEach(() => new Promise<void>((resolve) => answering.close(() => resolve())));
  const place = () => ({ address: '127.0.0.1', port: answering.address().port, protocol: 'UDP' as const });

  it('has connected when an answer came, also if the first question was lost', async () => {
    answers = () => sources.length > 1;
    expect(await prober.probe(workload, place())).toEqual({ outcome: 'connected', control: 'connected' });
    expect(sources[0]).toBeGreaterThanOrEqual(PORTS.from);
    expect(sources[0]).toBeLessThanOrEqual(PORTS.to);
    expect(sources[1]).toBe(sources[0]);
  });

  it('takes neither silence nor that nobody listens for a refusal', async () => {
    answers = () => false;
    expect(await prober.probe(workload, place())).toEqual({ outcome: 'no-answer', control: 'no-answer' });
    const nobody = createSocket('udp4');
    await new Promise<void>((resolve) => nobody.bind(0, '127.0.0.1', resolve));
    const { port } = nobody.address();
    await new Promise<void>((resolve) => nobody.close(() => resolve()));
    expect(await prober.probe(workload, { ...place(), port })).toMatchObject({
      outcome: 'no-answer',
      control: 'no-answer',
      detail: 'ECONNREFUSED',
    });
  });

  it('of a place to which no route leads is over like any other', async () => {
    // A link's own address without the link can't be connected to, whatever routes there are.
    expect(await prober.probe(workload, { ...place(), address: 'fe80::1' })).toMatchObject({
      outcome: 'no-answer',
      control: 'no-answer',
      detail: expect.stringMatching(/^E/),
    });
  });
});

describe('the connections of a user', () => {
  it('are those that are established, with both ends', async () => {
    const mine: Workload = { ...workload, binding: { kind: 'user', uid: process.getuid?.() ?? 0 } };
    const to = target();
    const { connect } = await import('node:net');
    const socket = connect(to.port, to.address);
    await new Promise((resolve) => socket.once('connect', resolve));
    const find = async () =>
      (await createConnections().list(mine)).filter(
        ({ localPort, remotePort }) => localPort === socket.localPort && remotePort === to.port,
      );
    expect(await find()).toEqual([
      {
        direction: 'egress',
        protocol: 'TCP',
        localAddress: '127.0.0.1',
        localPort: socket.localPort,
        remoteAddress: '127.0.0.1',
        remotePort: to.port,
      },
    ]);
    socket.destroy();
    for (const visitor of visitors) visitor.destroy();
    await expect.poll(find).toEqual([]);
    expect(await createConnections().list({ ...mine, binding: { kind: 'interface', name: 'lo' } })).toEqual(
      [],
    );
  });
});
