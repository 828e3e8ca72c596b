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
  MAX_HELD_SPECS,
  MAX_HELD_TARGETS,
  PROVE_WITHIN_MS,
  type SiteMessage,
} from '../../core/channel.ts';
import type { Clock } from '../../core/ports/clock.ts';
import type { Documents, Holdings } from '../../core/ports/policy-link.ts';
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
  /** What the site holds of policy; null when nobody here obeys any, and the hub need not send it. */
  holdings(): Holdings | null;
  onDocuments(documents: Documents): void;
  onReady(backfillPerS: number): void;
  /** Once, for whatever reason; every send that has no acknowledgement was answered `away` before. */
  onClosed(trouble: string, final: boolean): void;
};

type Frame = { bytes: Buffer; number: number; sentMonoMs: number; settle(outcome: SendOutcome): void };

/** One connection to the hub's gateway, from opening to closing; core/channel.ts has the protocol. */
export class Session {
  readonly #options: SessionOptions;
  readonly #socket: WebSocket;
  readonly #sent = new Map<number, Frame>();
  readonly #waiting: Frame[] = [];
  readonly #pinging: NodeJS.Timeout;
  readonly #watching: NodeJS.Timeout;
  readonly #openedAtMonoMs: number;
  #heardAtMonoMs: number;
  #provedAtMonoMs = 0;
  /** 0 until the hub has welcomed this site. */
  #windowFrames = 0;
  #lastFrame = 0;
  #finished = false;
  #ping: { sentAtMs: number; monoMs: number } | null = null;

  constructor(options: SessionOptions) {
    const { address, ca, clock, timing } = options;
    this.#options = options;
    this.#openedAtMonoMs = this.#heardAtMonoMs = clock.monoMs();
    this.#socket = new WebSocket(address, [CHANNEL_SUBPROTOCOL], {
      perMessageDeflate: false,
      maxPayload: MAX_FRAME_BYTES,
      handshakeTimeout: PROVE_WITHIN_MS,
      // The pinned authority is the hub's own and signs nobody else, so whoever it vouches for is the hub, under any name.
      ...(ca !== null && { ca, checkServerIdentity: () => false }),
    });
    this.#pinging = setInterval(() => this.#sendPing(), timing.pingMs);
    this.#watching = setInterval(() => this.#watch(), Math.min(timing.deadMs / 3, 5000));
    this.#listen();
  }

  /** The hub has welcomed this site, and answered what it was asked last. */
  get isHeard(): boolean {
    const { clock, timing } = this.#options;
    return this.#windowFrames > 0 && clock.monoMs() - this.#heardAtMonoMs <= 2 * timing.pingMs;
  }

  /** Resolves with `ok` once the hub has acknowledged the reports. */
  send(lane: Lane, reports: readonly Uint8Array[]): Promise<SendOutcome> {
    if (this.#finished || this.#windowFrames === 0 || this.#waiting.length >= MAX_WAITING_FRAMES)
      return Promise.resolve({ ok: false, code: 'away' });
    this.#lastFrame += 1;
    const number = this.#lastFrame;
    const bytes = encodeReportFrame({ frame: number, lane, reports });
    return new Promise((settle) => {
      this.#waiting.push({ bytes, number, sentMonoMs: 0, settle });
      this.#fillWindow();
    });
  }

  /** Where the hub has welcomed this site. */
  tell(holdings: Holdings | null): void {
    if (this.#finished || holdings === null) return;
    const targets = holdings.targets.slice(0, MAX_HELD_TARGETS);
    this.#say({ type: 'have', targets, specs: holdings.specs.slice(0, MAX_HELD_SPECS) });
  }

  close(): void {
    // The close frame is written to the socket before `#finish` ends it; nobody has to wait for its answer.
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.close(1000, 'stopped');
    this.#finish('stopped');
  }

  #listen(): void {
    const { site, address } = this.#options;
    this.#socket.on('message', (data, isBinary) => this.#receive(isBinary ? null : parse(data.toString())));
    this.#socket.on('unexpected-response', (_request, response) => {
      response.resume();
      const status = response.statusCode ?? 0;
      this.#finish(refusedTrouble(address.host, status), status === 401 || status === 403);
    });
    this.#socket.on('error', (error) => this.#finish(connectTrouble(address.host, error)));
    this.#socket.on('close', (code, reason) => {
      const { text, final } = closeTrouble(site, code, reason.toString());
      this.#finish(text, final);
    });
  }

  #finish(trouble: string, final = false): void {
    if (this.#finished) return;
    this.#finished = true;
    clearInterval(this.#pinging);
    clearInterval(this.#watching);
    this.#socket.terminate();
    for (const frame of [...this.#sent.values(), ...this.#waiting]) frame.settle({ ok: false, code: 'away' });
    this.#sent.clear();
    this.#waiting.length = 0;
    this.#options.onClosed(trouble, final);
  }

  #watch(): void {
    const { address, clock, timing } = this.#options;
    const now = clock.monoMs();
    const seconds = (ms: number): number => Math.round(ms / 1000);
    const [oldest] = this.#sent.values();
    if (this.#windowFrames === 0 && now - this.#openedAtMonoMs > 2 * PROVE_WITHIN_MS)
      this.#finish(`the hub at ${address.host} does not answer`);
    else if (now - this.#heardAtMonoMs > timing.deadMs)
      this.#finish(`the hub has been silent for ${seconds(now - this.#heardAtMonoMs)} s`);
    else if (oldest !== undefined && now - oldest.sentMonoMs > timing.ackMs)
      this.#finish(`the hub has not stored a report within ${seconds(timing.ackMs)} s; connecting anew`);
  }

  #say(message: SiteMessage): void {
    this.#socket.send(JSON.stringify(message));
  }

  #sendPing(): void {
    // One at a time: a pong that is late by a ping would be taken for a quick one.
    if (this.#windowFrames === 0 || this.#ping !== null || this.#socket.readyState !== WebSocket.OPEN) return;
    const { clock } = this.#options;
    this.#ping = { sentAtMs: clock.nowMs(), monoMs: clock.monoMs() };
    this.#say({ type: 'ping', sentAtMs: this.#ping.sentAtMs });
  }

  #fillWindow(): void {
    while (this.#sent.size < this.#windowFrames) {
      const frame = this.#waiting.shift();
      if (frame === undefined) return;
      frame.sentMonoMs = this.#options.clock.monoMs();
      this.#sent.set(frame.number, frame);
      this.#socket.send(frame.bytes);
    }
  }

  /** Null is what could not be understood. */
  #receive(message: HubMessage | null): void {
    if (this.#finished) return;
    this.#heardAtMonoMs = this.#options.clock.monoMs();
    switch (message?.type) {
      case 'hello':
        this.#prove(message.nonce);
        return;
      case 'welcome':
        this.#options.observeHubTime(message.hubTimeMs, this.#provedAtMonoMs);
        this.#windowFrames = message.windowFrames;
        this.tell(this.#options.holdings());
        this.#sendPing();
        this.#options.onReady(message.backfillPerS);
        return;
      case 'pong':
        if (this.#ping?.sentAtMs !== message.sentAtMs) return;
        this.#options.observeHubTime(message.hubTimeMs, this.#ping.monoMs);
        this.#ping = null;
        return;
      case 'documents':
        this.#options.onDocuments({ envelopes: message.envelopes, whole: message.whole });
        return;
      case 'ack':
        this.#acknowledge(message.frame);
        return;
      default: {
        const { host } = this.#options.address;
        this.#socket.close(CLOSE.malformed, `not a message of ${CHANNEL_SUBPROTOCOL}`);
        this.#finish(
          `what answers at ${host} does not speak ${CHANNEL_SUBPROTOCOL}; is it a hub of this version?`,
        );
      }
    }
  }

  #prove(nonce: string): void {
    const { key, site, instance, clock } = this.#options;
    this.#provedAtMonoMs = clock.monoMs();
    this.#say({ type: 'prove', site, proof: channelProof(key, site, nonce), instance });
  }

  #acknowledge(number: number): void {
    const frame = this.#sent.get(number);
    if (frame === undefined) return;
    this.#sent.delete(number);
    frame.settle({ ok: true });
    this.#fillWindow();
  }
}

function parse(text: string): HubMessage | null {
  try {
    const value: unknown = JSON.parse(text);
    return validator.Check(value) ? value : null;
  } catch {
    return null;
  }
}
