import { createServer as createHttpServer, type RequestListener, type Server } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { Compile } from 'typebox/compile';
import { type WebSocket, WebSocketServer } from 'ws';
import {
  CHANNEL_SUBPROTOCOL,
  CLOSE,
  decodeReportFrame,
  type HubMessage,
  type ReportFrame,
  SiteMessage,
} from '../../../core/channel.ts';
import { channelProof, keyFrom } from '../../../core/seal.ts';

const validator = Compile(SiteMessage);

type Options = {
  key: Buffer;
  site: string;
  tls?: { key: string; cert: string };
  port?: number;
  onRequest?: RequestListener;
};

/** The hub's side of a channel, on a real socket, doing as a test wants. */
export class HubSide {
  readonly frames: ReportFrame[] = [];
  readonly instances: string[] = [];
  readonly holdings: Extract<SiteMessage, { type: 'have' }>[] = [];
  readonly behaviour = {
    acknowledge: true,
    answerPings: true,
    windowFrames: 8,
    backfillPerS: 1000,
    /** How far its clock is ahead. */
    aheadMs: 0,
    /** Closes with this code instead of a welcome. */
    refuse: noCode(),
  };
  connects = 0;
  readonly #options: Options;
  readonly #server: Server;
  readonly #sockets: WebSocketServer;
  readonly #pending: { socket: WebSocket; frame: number }[] = [];

  constructor(options: Options) {
    this.#options = options;
    this.#server = options.tls ? createHttpsServer(options.tls) : createHttpServer();
    if (options.onRequest) this.#server.on('request', options.onRequest);
    this.#sockets = new WebSocketServer({ server: this.#server, handleProtocols: () => CHANNEL_SUBPROTOCOL });
    this.#sockets.on('connection', (socket, request) => this.#welcome(socket, request.url ?? ''));
  }

  get url(): string {
    return `${this.#options.tls ? 'https' : 'http'}://127.0.0.1:${this.#options.port}`;
  }

  async listen(): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(this.#options.port ?? 0, '127.0.0.1', resolve));
    const address = this.#server.address();
    if (address !== null && typeof address === 'object') this.#options.port = address.port;
    return this;
  }

  channels(): number {
    return this.#sockets.clients.size;
  }

  acknowledgeAll(): void {
    for (const { socket, frame } of this.#pending.splice(0)) tell(socket, { type: 'ack', frame });
  }

  cut(): void {
    this.#pending.length = 0;
    for (const socket of this.#sockets.clients) socket.terminate();
  }

  say(text: string): void {
    for (const socket of this.#sockets.clients) socket.send(text);
  }

  async stop(): Promise<void> {
    this.cut();
    this.#sockets.close();
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #welcome(socket: WebSocket, path: string): void {
    this.connects += 1;
    const nonce = `nonce-${this.connects}`;
    if (path !== `/api/v1/sites/${this.#options.site}/channel`) socket.close(CLOSE.malformed, 'wrong path');
    tell(socket, { type: 'hello', nonce, hubTimeMs: this.#timeMs() });
    socket.on('message', (data: Buffer, isBinary) => {
      if (isBinary) this.#receive(socket, data);
      else this.#answer(socket, nonce, JSON.parse(data.toString()));
    });
  }

  #receive(socket: WebSocket, data: Buffer): void {
    const decoded = decodeReportFrame(data);
    if (!decoded.ok) throw new Error(decoded.reason);
    // A copy, since the parts share memory with the socket's buffer.
    const reports = decoded.frame.reports.map((report) => Buffer.from(report));
    this.frames.push({ ...decoded.frame, reports });
    this.#pending.push({ socket, frame: decoded.frame.frame });
    if (this.behaviour.acknowledge) this.acknowledgeAll();
  }

  #answer(socket: WebSocket, nonce: string, message: unknown): void {
    if (!validator.Check(message)) throw new Error(`not of the protocol: ${JSON.stringify(message)}`);
    const { answerPings, refuse, windowFrames, backfillPerS } = this.behaviour;
    const { key, site } = this.#options;
    if (message.type === 'ping') {
      if (answerPings) tell(socket, { type: 'pong', sentAtMs: message.sentAtMs, hubTimeMs: this.#timeMs() });
      return;
    }
    if (message.type === 'have') {
      this.holdings.push(message);
      return;
    }
    this.instances.push(message.instance);
    if (message.proof !== channelProof(keyFrom(key), site, nonce))
      socket.close(CLOSE.unauthorized, 'wrong key');
    else if (refuse !== null) socket.close(refuse, 'as the test wants');
    else tell(socket, { type: 'welcome', hubTimeMs: this.#timeMs(), windowFrames, backfillPerS });
  }

  #timeMs(): number {
    return Date.now() + this.behaviour.aheadMs;
  }
}

export function startHubSide(options: Options): Promise<HubSide> {
  return new HubSide({ ...options }).listen();
}

function tell(socket: WebSocket, message: HubMessage): void {
  socket.send(JSON.stringify(message));
}

function noCode(): number | null {
  return null;
}
