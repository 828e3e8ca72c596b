import { createServer as createHttpServer, type Server } from 'node:http';
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

/** The hub's side of a channel, on a real socket, doing as a test wants. */
export type HubSide = {
  url: string;
  frames: ReportFrame[];
  /** Frames that were acknowledged, in that order. */
  acknowledged: number[];
  channels(): number;
  connects: number;
  instances: string[];
  behaviour: {
    acknowledge: boolean;
    answerPings: boolean;
    windowFrames: number;
    backfillPerS: number;
    /** How far its clock is ahead. */
    aheadMs: number;
    /** Closes with this code instead of a welcome. */
    refuse: number | null;
  };
  acknowledgeAll(): void;
  cut(): void;
  say(text: string): void;
  stop(): Promise<void>;
};

export async function startHubSide(options: {
  key: Buffer;
  site: string;
  tls?: { key: string; cert: string };
  port?: number;
  onRequest?: Parameters<typeof createHttpServer>[1];
}): Promise<HubSide> {
  const server: Server = options.tls ? createHttpsServer(options.tls) : createHttpServer();
  if (options.onRequest) server.on('request', options.onRequest);
  const sockets = new WebSocketServer({ server, handleProtocols: () => CHANNEL_SUBPROTOCOL });
  const pending: { socket: WebSocket; frame: number }[] = [];
  const hub: HubSide = {
    url: '',
    frames: [],
    acknowledged: [],
    connects: 0,
    instances: [],
    channels: () => sockets.clients.size,
    behaviour: {
      acknowledge: true,
      answerPings: true,
      windowFrames: 8,
      backfillPerS: 1000,
      aheadMs: 0,
      refuse: null,
    },
    acknowledgeAll() {
      for (const { socket, frame } of pending.splice(0)) {
        hub.acknowledged.push(frame);
        tell(socket, { type: 'ack', frame });
      }
    },
    cut() {
      pending.length = 0;
      for (const socket of sockets.clients) socket.terminate();
    },
    say(text) {
      for (const socket of sockets.clients) socket.send(text);
    },
    async stop() {
      hub.cut();
      sockets.close();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  const hubTimeMs = (): number => Date.now() + hub.behaviour.aheadMs;
  const tell = (socket: WebSocket, message: HubMessage): void => socket.send(JSON.stringify(message));

  sockets.on('connection', (socket, request) => {
    hub.connects += 1;
    const nonce = `nonce-${hub.connects}`;
    if (request.url !== `/api/v1/sites/${options.site}/channel`) socket.close(CLOSE.malformed, 'wrong path');
    tell(socket, { type: 'hello', nonce, hubTimeMs: hubTimeMs() });
    socket.on('message', (data: Buffer, isBinary) => {
      if (isBinary) {
        const decoded = decodeReportFrame(data);
        if (!decoded.ok) throw new Error(decoded.reason);
        // A copy, since the parts share memory with the socket's buffer.
        hub.frames.push({
          ...decoded.frame,
          reports: decoded.frame.reports.map((report) => Buffer.from(report)),
        });
        pending.push({ socket, frame: decoded.frame.frame });
        if (hub.behaviour.acknowledge) hub.acknowledgeAll();
        return;
      }
      const message: unknown = JSON.parse(data.toString());
      if (!validator.Check(message)) throw new Error(`not of the protocol: ${data}`);
      if (message.type === 'ping') {
        if (hub.behaviour.answerPings)
          tell(socket, { type: 'pong', sentAtMs: message.sentAtMs, hubTimeMs: hubTimeMs() });
        return;
      }
      hub.instances.push(message.instance);
      const isRight = message.proof === channelProof(keyFrom(options.key), options.site, nonce);
      if (!isRight) socket.close(CLOSE.unauthorized, 'wrong key');
      else if (hub.behaviour.refuse !== null) socket.close(hub.behaviour.refuse, 'as the test wants');
      else {
        const { windowFrames, backfillPerS } = hub.behaviour;
        tell(socket, { type: 'welcome', hubTimeMs: hubTimeMs(), windowFrames, backfillPerS });
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(options.port ?? 0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  hub.url = `${options.tls ? 'https' : 'http'}://127.0.0.1:${address.port}`;
  return hub;
}
