import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer as createHttpServer, type RequestListener } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createLinksProbe, type LinksProbeOptions } from '../../../adapters/links/links-probe.ts';
import { ensureAuthority } from '../../../adapters/tls/authority.ts';
import type { Link } from '../../../core/model/report.ts';
import { systemClock } from '../../../core/ports/clock.ts';
import type { Probe } from '../../../core/ports/probe.ts';

let probes: Probe[];
let servers: Server[];
let sockets: Socket[];
let children: ChildProcess[];
let texts: Map<string, string>;

beforeEach(() => {
  probes = [];
  servers = [];
  sockets = [];
  children = [];
  texts = new Map();
});
afterEach(async () => {
  for (const probe of probes) await probe.stop();
  for (const socket of sockets) socket.destroy();
  for (const server of servers) await new Promise((resolve) => server.close(resolve));
  for (const child of children) child.kill('SIGKILL');
});

async function listen(server: Server, port = 0): Promise<number> {
  server.on('connection', (socket: Socket) => sockets.push(socket));
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

const peer = () => listen(createServer());
const http = (answer: RequestListener) => listen(createHttpServer(answer));

async function closedPort(): Promise<number> {
  const server = createServer();
  const port = await listen(server);
  await new Promise((resolve) => server.close(resolve));
  servers.pop();
  return port;
}

async function watch(
  links: LinksProbeOptions['links'],
  options: Partial<LinksProbeOptions> = {},
): Promise<Probe> {
  const probe = createLinksProbe({
    links,
    hub: { url: `http://127.0.0.1:${await peer()}` },
    intervalMs: 100,
    // A peer on this machine always answers, however late a busy machine lets it.
    timeoutMs: 20_000,
    clock: systemClock,
    keep: (name, text) => texts.set(name, text),
    kept: (name) => texts.get(name) ?? null,
    ...options,
  });
  probes.push(probe);
  await probe.start();
  return probe;
}

async function read(probe: Probe, name: string): Promise<Link | undefined> {
  const { parts } = await probe.read(new AbortController().signal);
  return parts.links?.find((link) => link.name === name);
}
/** Polls until the link is as expected. */
const link = (probe: Probe, name: string) =>
  expect.poll(() => read(probe, name), { interval: 20, timeout: 15_000 });
/** Attempts go on while the test looks. */
const atLeast = (least: number) => expect.toSatisfy((count: number) => count >= least);

describe('the links probe', () => {
  it('counts answers with their latency, and the hub itself as a link', async () => {
    const port = await peer();
    const probe = await watch([{ name: 'db', url: `tcp://127.0.0.1:${port}`, budgetMs: 20 }]);
    await link(probe, 'db').toMatchObject({
      protocol: 'tcp',
      target: `127.0.0.1:${port}`,
      up: true,
      requests: atLeast(2),
      losses: 0,
      errors: 0,
      window: { requests: atLeast(2), losses: 0, errors: 0 },
      latency: { p50Ms: expect.any(Number) },
      budgetMs: 20,
    });
    await link(probe, 'hub').toMatchObject({ protocol: 'hub', up: true, losses: 0 });
  });

  it('calls a refused connection a loss, and sees the peer come back', async () => {
    const port = await closedPort();
    const probe = await watch([{ name: 'db', url: `tcp://127.0.0.1:${port}` }]);
    await link(probe, 'db').toMatchObject({
      up: false,
      losses: atLeast(2),
      errors: 0,
      lastError: 'connection refused',
    });
    const before = await read(probe, 'db');
    expect(before?.losses).toBe(before?.requests);
    await listen(createServer(), port);
    await link(probe, 'db').toMatchObject({ up: true, losses: atLeast(before?.losses ?? 0) });
    const after = await read(probe, 'db');
    await link(probe, 'db').toMatchObject({
      requests: atLeast((after?.requests ?? 0) + 2),
      losses: after?.losses,
    });
  });

  it('calls a dropped SYN a loss, though TCP would send it again', async () => {
    const child = spawn(process.execPath, [new URL('./deaf-peer.ts', import.meta.url).pathname], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    children.push(child);
    const [said] = await once(child.stdout, 'data');
    const port = Number(said);
    child.kill('SIGSTOP');
    // Fills its queue; connections that the kernel took for it count as answers, as they would for any peer.
    for (let index = 0; index < 4; index += 1) {
      const socket = connect(port, '127.0.0.1').on('error', () => {});
      sockets.push(socket);
    }
    const probe = await watch([{ name: 'deaf', url: `tcp://127.0.0.1:${port}` }], {
      intervalMs: 1000,
      timeoutMs: 300,
    });
    await link(probe, 'deaf').toMatchObject({
      up: false,
      losses: atLeast(3),
      lastError: 'no connection within 300 ms',
    });
  });

  it('calls HTTP 500 an error and HTTP 404 an answer', async () => {
    const broken = await http((_, response) => response.writeHead(503).end());
    const strict = await http((_, response) => response.writeHead(404).end());
    const probe = await watch([
      { name: 'broken', url: `http://127.0.0.1:${broken}/health` },
      { name: 'strict', url: `http://127.0.0.1:${strict}/` },
    ]);
    await link(probe, 'broken').toMatchObject({
      protocol: 'http',
      up: true,
      losses: 0,
      errors: atLeast(2),
      lastError: 'answered HTTP 503',
    });
    await link(probe, 'strict').toMatchObject({ up: true, losses: 0, errors: 0 });
  });

  it('opens a new connection for each request, and never shows a password', async () => {
    const ports = new Set<number>();
    const port = await http((request, response) => {
      ports.add(request.socket.remotePort ?? 0);
      response.writeHead(request.headers.authorization === 'Basic bWU6c2VjcmV0' ? 200 : 500).end();
    });
    const probe = await watch([{ name: 'api', url: `http://me:secret@127.0.0.1:${port}/x?token=secret` }]);
    await link(probe, 'api').toMatchObject({
      requests: atLeast(3),
      errors: 0,
      target: `http://127.0.0.1:${port}/x`,
    });
    expect(ports.size).toBeGreaterThanOrEqual(3);
  });

  it('tells a peer that takes the connection but never answers from one that speaks no HTTP', async () => {
    const mute = await peer();
    const babble = await listen(createServer((socket) => socket.end('SSH-2.0\r\n')));
    const impatient = await watch([{ name: 'mute', url: `http://127.0.0.1:${mute}/` }], { timeoutMs: 100 });
    const probe = await watch([{ name: 'babble', url: `http://127.0.0.1:${babble}/` }]);
    await link(impatient, 'mute').toMatchObject({
      up: false,
      lastError: expect.stringContaining('no answer within'),
    });
    await link(probe, 'babble').toMatchObject({
      up: true,
      losses: 0,
      errors: atLeast(1),
    });
  });

  it('calls a certificate that it does not trust an error', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'plumbline-links-'));
    try {
      const port = await listen(createHttpsServer(await ensureAuthority({ dir, hosts: ['127.0.0.1'] })));
      const probe = await watch([{ name: 'api', url: `https://127.0.0.1:${port}/` }]);
      await link(probe, 'api').toMatchObject({
        up: true,
        losses: 0,
        lastError: expect.stringContaining('certificate'),
      });
    } finally {
      rmSync(dir, { recursive: true });
    }
  });

  it('keeps what it learned over restarts, but not for a link that leads elsewhere now', async () => {
    const [port, other] = [await peer(), await peer()];
    texts.set('link-baselines', JSON.stringify({ [`db 127.0.0.1:${port}`]: { usualMs: 7, windows: 900 } }));
    const known = await watch([{ name: 'db', url: `tcp://127.0.0.1:${port}` }]);
    await link(known, 'db').toMatchObject({
      baselineMs: expect.toSatisfy((ms: number) => ms > 6 && ms <= 7),
    });
    await known.stop();
    const kept: unknown = JSON.parse(texts.get('link-baselines') ?? '{}');
    expect(kept).toHaveProperty([`db 127.0.0.1:${port}`]);
    const moved = await watch([{ name: 'db', url: `tcp://127.0.0.1:${other}` }]);
    await link(moved, 'db').toMatchObject({ up: true });
    expect(await read(moved, 'db')).not.toHaveProperty('baselineMs');
  });

  it('refuses what is no link', async () => {
    for (const url of ['nonsense', 'ftp://x/', 'tcp://host'])
      await expect(watch([{ name: 'x', url }])).rejects.toThrow(/tcp/);
    await expect(watch([{ name: 'hub', url: 'tcp://h:1' }])).rejects.toThrow('same name');
  });

  it('leaves nothing running when stopped', async () => {
    const port = await peer();
    const probe = await watch([{ name: 'db', url: `tcp://127.0.0.1:${port}` }]);
    await link(probe, 'db').toMatchObject({ up: true });
    await probe.stop();
    await probe.stop();
    // The peer's half of a connection closes a moment after ours.
    await expect
      .poll(() => process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap'))
      .toEqual([]);
  });
});
