import { type IncomingMessage, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import { CHANNEL_SUBPROTOCOL, MAX_FRAME_BYTES } from '../core/channel.ts';
import { SITE_ID_PATTERN } from '../core/model/site.ts';
import { type Problem, problem } from '../core/problem.ts';
import type { Gateway } from './gateway/gateway.ts';
import { LIVE_ACCESS } from './http/access.ts';
import { PROBLEM_TYPE } from './http/problem-reply.ts';
import type { Live } from './live/live.ts';
import type { SignIn } from './sign-in/sign-in.ts';

const MAX_SUBSCRIPTION_BYTES = 4096;
const CHANNEL_PATH = /^\/api\/v1\/sites\/([^/]+)\/channel$/;
const SITE_ID = new RegExp(SITE_ID_PATTERN);
/** How long connections may take to say goodbye when the hub stops. */
const FAREWELL_MS = 500;

/** The two WebSockets of the hub: who may open one is decided here, before there is one. */
export class Upgrades {
  readonly #live: Live;
  readonly #gateway: Gateway;
  readonly #signIn: SignIn;
  readonly #viewers = new WebSocketServer({
    noServer: true,
    maxPayload: MAX_SUBSCRIPTION_BYTES,
    perMessageDeflate: false,
  });
  readonly #sites = new WebSocketServer({
    noServer: true,
    maxPayload: MAX_FRAME_BYTES,
    perMessageDeflate: false,
    handleProtocols: () => CHANNEL_SUBPROTOCOL,
  });

  constructor(parts: { live: Live; gateway: Gateway; signIn: SignIn }) {
    this.#live = parts.live;
    this.#gateway = parts.gateway;
    this.#signIn = parts.signIn;
  }

  readonly take = (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
    // A socket that fails while it is refused has nobody else to tell.
    socket.on('error', ignore);
    const pathname = (request.url ?? '/').split('?', 1)[0] ?? '/';
    const site = CHANNEL_PATH.exec(pathname)?.[1];
    if (pathname === '/api/v1/live') this.#takeViewer(request, socket, head);
    else if (site !== undefined) this.#takeSite(site, request, socket, head);
    else
      refuse(socket, problem('not-found', 'WebSockets are at /api/v1/live and /api/v1/sites/{id}/channel'));
  };

  /** Ends every connection, after those that listen could read why. */
  async stop(): Promise<void> {
    const sockets = [...this.#viewers.clients, ...this.#sites.clients];
    const gone = Promise.all(sockets.map(closed));
    const farewell = Promise.withResolvers<void>();
    const timer = setTimeout(farewell.resolve, sockets.length === 0 ? 0 : FAREWELL_MS);
    await Promise.race([gone, farewell.promise]);
    clearTimeout(timer);
    for (const socket of sockets) socket.terminate();
    await gone;
  }

  #takeViewer(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const principal = this.#signIn.principal(request.headers);
    if (principal === null || !LIVE_ACCESS.includes(principal.role))
      refuse(socket, problem('unauthorized', 'sign in first, or send `Authorization: Bearer TOKEN`'));
    else if (!this.#signIn.isOwnOrigin(request.headers, principal.via === 'cookie'))
      refuse(socket, problem('bad-origin', 'only the hub’s own page may use its session'));
    else if (this.#live.isFull)
      refuse(socket, problem('too-many-requests', 'as many as the hub takes are watching; try again later'));
    else
      this.#viewers.handleUpgrade(request, socket, head, (viewer) => {
        socket.off('error', ignore);
        const { authorization, cookie } = request.headers;
        this.#live.take(viewer, () => this.#signIn.principal({ authorization, cookie }) !== null);
      });
  }

  #takeSite(site: string, request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const offered = (request.headers['sec-websocket-protocol'] ?? '').split(',').map((name) => name.trim());
    if (!SITE_ID.test(site))
      refuse(socket, problem('not-found', `"${site.slice(0, 80)}" is not a site's id`));
    else if (!offered.includes(CHANNEL_SUBPROTOCOL))
      refuse(
        socket,
        problem(
          'bad-request',
          `offer the subprotocol ${CHANNEL_SUBPROTOCOL}; use a collector of this hub's version`,
        ),
      );
    else if (this.#gateway.isFull)
      refuse(
        socket,
        problem('too-many-requests', 'the gateway has as many connections as it takes; try again later'),
      );
    else
      this.#sites.handleUpgrade(request, socket, head, (channel) => {
        socket.off('error', ignore);
        this.#gateway.take(site, channel, socket, request.socket.remoteAddress ?? '');
      });
  }
}

function refuse(socket: Duplex, refused: Problem): void {
  const body = JSON.stringify(refused);
  socket.end(
    [
      `HTTP/1.1 ${refused.status} ${STATUS_CODES[refused.status] ?? ''}`,
      `Content-Type: ${PROBLEM_TYPE}`,
      `Content-Length: ${Buffer.byteLength(body)}`,
      'Connection: close',
      '',
      body,
    ].join('\r\n'),
    () => socket.destroy(),
  );
}

function closed(socket: WebSocket): Promise<void> {
  if (socket.readyState === socket.CLOSED) return Promise.resolve();
  return new Promise((resolve) => socket.once('close', () => resolve()));
}

function ignore(): void {}
