/*
 * A stand-in for the hub's API, for what a real one can't be brought to in a test's time: refusals, thousands of sites,
 * connections that break. It speaks the shapes of core/model/view.ts. The commands against a real hub are in test/e2e.
 */
import { createServer, type IncomingMessage } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Server, Socket } from 'node:net';
import { text as readAll } from 'node:stream/consumers';
import { type WebSocket, WebSocketServer } from 'ws';
import type { LiveMessage, SiteView } from '../../core/model/view.ts';
import { type Problem, problem } from '../../core/problem.ts';
import { madeUpSites, rollupOf } from '../web/stand-in-fleet.ts';

export const TOKEN = 'stand-in-token';
export type Asked = { method: string; path: string; query: Record<string, string>; body: unknown };
/** What a route answers: a value with 200, or a problem with its own status. */
export type Answer = (asked: Asked) => { value: unknown } | { problem: Problem };

export type StandInHub = {
  readonly url: string;
  /** Every request in order. */
  readonly asked: Asked[];
  readonly sites: SiteView[];
  /** Answers `METHOD /path` from now on. */
  on(route: string, answer: Answer): void;
  readonly viewers: number;
  /** Sends to every viewer. */
  tell(message: LiveMessage): void;
  snapshot(version: number): LiveMessage;
  delta(version: number, upsert: SiteView[], remove?: string[]): LiveMessage;
  /** Cuts every live connection. */
  cut(): void;
  /** Live connections are refused while away. */
  away: boolean;
  stop(): Promise<void>;
};

export async function startStandInHub(
  tls?: { key: string; cert: string },
  nowMs = Date.now(),
): Promise<StandInHub> {
  const routes = new Map<string, Answer>();
  const asked: Asked[] = [];
  const live = new WebSocketServer({ noServer: true });
  const server = tls ? createTlsServer(tls) : createServer();
  const sockets = socketsOf(server);
  server.on('request', async (request, response) => {
    const one = await readRequest(request);
    asked.push(one);
    const outcome = isSignedIn(request)
      ? (routes.get(`${one.method} ${one.path}`)?.(one) ?? {
          problem: problem('not-found', `no ${one.path}`),
        })
      : { problem: problem('unauthorized', 'the token is not known') };
    const isProblem = 'problem' in outcome;
    response.writeHead(isProblem ? outcome.problem.status : 200, {
      'content-type': isProblem ? 'application/problem+json' : 'application/json',
    });
    response.end(JSON.stringify(isProblem ? outcome.problem : outcome.value));
  });
  const hub: StandInHub = {
    url: '',
    asked,
    sites: madeUpSites(12, 7, nowMs),
    on: (route, answer) => void routes.set(route, answer),
    get viewers() {
      return live.clients.size;
    },
    tell(message) {
      for (const socket of live.clients) socket.send(JSON.stringify(message));
    },
    snapshot: (version) => ({ type: 'snapshot', version, sites: hub.sites, ...aside(hub.sites, nowMs) }),
    delta: (version, upsert, remove = []) => ({
      type: 'delta',
      from: version - 1,
      version,
      upsert,
      remove,
      ...aside(hub.sites, nowMs),
    }),
    cut() {
      for (const socket of live.clients) socket.terminate();
    },
    away: false,
    async stop() {
      for (const socket of sockets) socket.destroy();
      if (server.listening) await new Promise((resolve) => server.close(resolve));
    },
  };
  attend(server, live, hub);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address: AddressInfo | string | null = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return Object.assign(hub, { url: `${tls ? 'https' : 'http'}://127.0.0.1:${port}` });
}

/** Its open connections, so that stopping waits for nobody. */
function socketsOf(server: Server): ReadonlySet<Socket> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  return sockets;
}

/** What every live message says besides its sites. */
function aside(sites: readonly SiteView[], nowMs: number) {
  const hub = { version: '0.1.0', nowMs, caughtUp: true, blind: null, troubles: [] };
  return { hub, rollup: rollupOf(sites), virtualSites: [], rollouts: [] };
}

/** Live views: the first message of a viewer is its subscription, answered with a snapshot. */
function attend(server: Server, live: WebSocketServer, hub: StandInHub): void {
  server.on('upgrade', (request: IncomingMessage, socket: Socket, head: Buffer) => {
    if (hub.away || !isSignedIn(request)) {
      socket.end(`HTTP/1.1 ${hub.away ? '503 Away' : '401 Unauthorized'}\r\nConnection: close\r\n\r\n`);
      return;
    }
    live.handleUpgrade(request, socket, head, (opened: WebSocket) => {
      opened.once('message', () => opened.send(JSON.stringify(hub.snapshot(1))));
    });
  });
}

function isSignedIn(request: IncomingMessage): boolean {
  return request.headers.authorization === `Bearer ${TOKEN}`;
}

async function readRequest(request: IncomingMessage): Promise<Asked> {
  const url = new URL(request.url ?? '/', 'http://hub');
  const text = await readAll(request);
  return {
    method: request.method ?? '',
    path: url.pathname,
    query: Object.fromEntries(url.searchParams),
    body: text === '' ? undefined : JSON.parse(text),
  };
}
