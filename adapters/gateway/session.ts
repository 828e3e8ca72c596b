import type { KeyObject } from 'node:crypto';
import { Compile } from 'typebox/compile';
import { WebSocket } from 'ws';
import {
  CHANNEL_SUBPROTOCOL,
  CLOSE,
  encodeReportFrame,
  HubMessage,
  type Lane,
  MAX_FRAME_BYTES,
  PROVE_WITHIN_MS,
  type SiteMessage,
} from '../../core/channel.ts';
import type { Clock } from '../../core/ports/clock.ts';
import type { SendOutcome } from '../../core/ports/uplink.ts';
import { channelProof } from '../../core/seal.ts';
import { closeTrouble, connectTrouble, refusedTrouble } from './trouble.ts';

const validator = Compile(HubMessage);
/** Frames that wait for room in the window; past that `send` says `away` and the spool keeps them. */
const MAX_WAITING_FRAMES = 64;

export type Timing = {
  pingMs: number;
  /** Without any message for so long, the hub is gone, whatever TCP believes. */
  deadMs: number;
  /** An acknowledgement may take as long as the hub's log is away; one that was lost must not block for ever. */
  ackMs: number;
};

export type SessionOptions = {
  address: URL;
  site: string;
  key: KeyObject;
  ca: string | null;
  instance: string;
  clock: Clock;
  timing: Timing;
  observeHubTime(hubTimeMs: number, sentMonoMs: number): void;
  onReady(backfillPerS: number): void;
  /** Once, for whatever reason; every send that has no acknowledgement was answered `away` before. */
  onClosed(trouble: string, final: boolean): void;
};

export type Session = {
  send(lane: Lane, reports: readonly Uint8Array[]): Promise<SendOutcome>;
  close(): void;
};

type Frame = { bytes: Buffer; number: number; sentMonoMs: number; settle(outcome: SendOutcome): void };

/** One connection to the hub's gateway, from opening to closing; core/channel.ts has the protocol. */
export function openSession(options: SessionOptions): Session {
  const { address, site, clock, timing } = options;
  const socket = new WebSocket(address, [CHANNEL_SUBPROTOCOL], {
    perMessageDeflate: false,
    maxPayload: MAX_FRAME_BYTES,
    handshakeTimeout: PROVE_WITHIN_MS,
    // The pinned authority is the hub's own and signs nobody else, so whoever it vouches for is the hub, under any name.
    ...(options.ca !== null && { ca: options.ca, checkServerIdentity: () => false }),
  });
  const sent = new Map<number, Frame>();
  const waiting: Frame[] = [];
  let windowFrames = 0;
  let nextFrame = 0;
  let finished = false;
  let provedAtMonoMs = 0;
  let ping: { sentAtMs: number; monoMs: number } | null = null;
  const openedAtMonoMs = clock.monoMs();
  let heardAtMonoMs = openedAtMonoMs;

  const pinging = setInterval(sendPing, timing.pingMs);
  const watching = setInterval(watch, Math.min(timing.deadMs / 3, 5000));

  function finish(trouble: string, final = false): void {
    if (finished) return;
    finished = true;
    clearInterval(pinging);
    clearInterval(watching);
    socket.terminate();
    for (const frame of [...sent.values(), ...waiting]) frame.settle({ ok: false, code: 'away' });
    sent.clear();
    waiting.length = 0;
    options.onClosed(trouble, final);
  }

  function watch(): void {
    const now = clock.monoMs();
    if (windowFrames === 0 && now - openedAtMonoMs > 2 * PROVE_WITHIN_MS)
      finish(`the hub at ${address.host} does not answer`);
    else if (now - heardAtMonoMs > timing.deadMs)
      finish(`the hub has been silent for ${Math.round((now - heardAtMonoMs) / 1000)} s`);
    else for (const frame of sent.values()) if (now - frame.sentMonoMs > timing.ackMs) stalled();
  }
  function stalled(): void {
    finish(`the hub has not stored a report within ${Math.round(timing.ackMs / 1000)} s; connecting anew`);
  }

  function tell(message: SiteMessage): void {
    socket.send(JSON.stringify(message));
  }

  function sendPing(): void {
    // One at a time: a pong that is late by a ping would be taken for a quick one.
    if (windowFrames === 0 || ping !== null || socket.readyState !== WebSocket.OPEN) return;
    ping = { sentAtMs: clock.nowMs(), monoMs: clock.monoMs() };
    tell({ type: 'ping', sentAtMs: ping.sentAtMs });
  }

  function fillWindow(): void {
    while (waiting.length > 0 && sent.size < windowFrames) {
      const frame = waiting.shift();
      if (frame === undefined) return;
      frame.sentMonoMs = clock.monoMs();
      sent.set(frame.number, frame);
      socket.send(frame.bytes);
    }
  }

  function receive(message: HubMessage): void {
    switch (message.type) {
      case 'hello':
        provedAtMonoMs = clock.monoMs();
        tell({
          type: 'prove',
          site,
          proof: channelProof(options.key, site, message.nonce),
          instance: options.instance,
        });
        return;
      case 'welcome':
        options.observeHubTime(message.hubTimeMs, provedAtMonoMs);
        windowFrames = message.windowFrames;
        sendPing();
        options.onReady(message.backfillPerS);
        return;
      case 'pong':
        if (ping?.sentAtMs !== message.sentAtMs) return;
        options.observeHubTime(message.hubTimeMs, ping.monoMs);
        ping = null;
        return;
      case 'ack': {
        const frame = sent.get(message.frame);
        if (frame === undefined) return;
        sent.delete(message.frame);
        frame.settle({ ok: true });
        fillWindow();
      }
    }
  }

  socket.on('message', (data, isBinary) => {
    if (finished) return;
    heardAtMonoMs = clock.monoMs();
    const message = isBinary ? null : parse(data.toString());
    if (message === null) {
      socket.close(CLOSE.malformed, 'not a message of plumbline.v1');
      finish(
        `what answers at ${address.host} does not speak ${CHANNEL_SUBPROTOCOL}; is it a hub of this version?`,
      );
    } else receive(message);
  });
  socket.on('unexpected-response', (_request, response) => {
    response.resume();
    const status = response.statusCode ?? 0;
    finish(refusedTrouble(address.host, status), status === 401 || status === 403);
  });
  socket.on('error', (error) => finish(connectTrouble(address.host, error)));
  socket.on('close', (code, reason) => {
    const { text, final } = closeTrouble(site, code, reason.toString());
    finish(text, final);
  });

  return {
    send(lane, reports) {
      if (finished || windowFrames === 0 || waiting.length >= MAX_WAITING_FRAMES)
        return Promise.resolve({ ok: false, code: 'away' });
      nextFrame += 1;
      const number = nextFrame;
      const bytes = encodeReportFrame({ frame: number, lane, reports });
      return new Promise((settle) => {
        waiting.push({ bytes, number, sentMonoMs: 0, settle });
        fillWindow();
      });
    },
    close() {
      if (finished) return;
      // The close frame is written to the socket before terminate() ends it; nobody has to wait for its answer.
      if (socket.readyState === WebSocket.OPEN) socket.close(1000, 'stopped');
      finish('stopped');
    },
  };
}

function parse(text: string): HubMessage | null {
  try {
    const value: unknown = JSON.parse(text);
    return validator.Check(value) ? value : null;
  } catch {
    return null;
  }
}
