import { randomBytes } from 'node:crypto';
import type { Duplex } from 'node:stream';
import { Compile } from 'typebox/compile';
import type { RawData, WebSocket } from 'ws';
import {
  CLOSE,
  decodeReportFrame,
  type HubMessage,
  MAX_FRAME_BYTES,
  PROVE_WITHIN_MS,
  type ReportFrame,
  SiteMessage,
  WINDOW_FRAMES,
} from '../../core/channel.ts';
import { readJson } from '../../core/json.ts';
import type { Clock } from '../../core/ports/clock.ts';
import { channelProof, keyFrom, sameSecret } from '../../core/seal.ts';
import type { InFlightBudget } from './budget.ts';

/** What a channel may send in all before it has proved who it is. */
const MAX_UNPROVEN_BYTES = 4096;
/** Longest text frame of a site that proved itself: what it holds takes the most. */
const MAX_MESSAGE_BYTES = 64 * 1024;
/** A site that does not read its acknowledgements is let go at this much unsent. */
const MAX_UNSENT_BYTES = 256 * 1024;
/** How long one that sent too much may take to read why it is closed. */
const LINGER_MS = 1000;
/**
 * A site that said nothing for so long is asked whether it is there, and is gone when it says nothing for as long again. Each by
 * a clock of its own, so that a fleet is not asked at once.
 */
const QUIET_MS = 10_000;
/** Held reports a second that a site may send. */
const BACKFILL_PER_S = 50;
const validator = Compile(SiteMessage);

/** What a channel needs of the gateway. `keyOf` gives null for a site that is not registered. */
export type ChannelHost = {
  readonly clock: Clock;
  readonly budget: InFlightBudget;
  keyOf(site: string): { key: Buffer; keyEpoch: number } | null;
  /** Whether the log has every report of the frames durably; when not, it may have some. */
  store(site: string, frames: readonly ReportFrame[]): Promise<boolean>;
  proven(channel: Channel): void;
  /** It says what it holds of policy, and gets what is newer. */
  holds(channel: Channel, have: Extract<SiteMessage, { type: 'have' }>): void;
  /** Why it ended, when the hub ended it. */
  ended(channel: Channel, code: number, reason: string): void;
};

/** One site's connection, from its upgrade to its end. See core/channel.ts for the protocol. */
export class Channel {
  readonly site: string;
  readonly #socket: WebSocket;
  readonly #host: ChannelHost;
  readonly #nonce = randomBytes(32).toString('base64url');
  readonly #deadline: NodeJS.Timeout;
  #beating: NodeJS.Timeout | undefined;
  #keyEpoch: number | null = null;
  #queued: { frame: ReportFrame; bytes: number }[] = [];
  #unacknowledged = 0;
  #storing = false;
  #isOpen = true;
  #silence: 'heard' | 'quiet' | 'asked' = 'heard';
  /** Of documents that have not left this process, which is no fault of whoever reads acknowledgements. */
  #documentBytes = 0;
  readonly #resume = () => this.#readOn();

  constructor(site: string, socket: WebSocket, raw: Duplex, host: ChannelHost) {
    this.site = site;
    this.#socket = socket;
    this.#host = host;
    this.#deadline = setTimeout(
      () => this.close(CLOSE.unauthorized, `prove who you are within ${PROVE_WITHIN_MS / 1000} s`),
      PROVE_WITHIN_MS,
    );
    this.#boundUnproven(raw);
    socket.on('message', (data, isBinary) => this.#receive(data, isBinary));
    socket.on('pong', () => {
      this.#silence = 'heard';
    });
    socket.on('error', (error) => this.#fail(error));
    socket.once('close', () => this.#release());
    this.#send({ type: 'hello', nonce: this.#nonce, hubTimeMs: host.clock.nowMs() });
  }

  /** The epoch of the key it proved; null before. */
  get keyEpoch(): number | null {
    return this.#keyEpoch;
  }

  /** Ends it from the hub's side, with a reason that says what to do. */
  close(code: number, reason: string): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#socket.resume();
    this.#socket.close(code, Buffer.from(reason).subarray(0, 123).toString('utf8'));
    this.#host.ended(this, code, reason);
    this.#release();
  }

  /** Sends a frame of documents; calls back when it has left this process, with false when it never will. */
  push(frame: Buffer, done: (sent: boolean) => void): void {
    if (!this.#isOpen) {
      done(false);
      return;
    }
    this.#documentBytes += frame.length;
    this.#socket.send(frame, { binary: false }, (error) => {
      this.#documentBytes -= frame.length;
      done(error === undefined || error === null);
    });
  }

  #receive(data: RawData, isBinary: boolean): void {
    if (!this.#isOpen) return;
    this.#silence = 'heard';
    const bytes = toBuffer(data);
    if (isBinary) this.#receiveFrame(bytes);
    else this.#receiveMessage(bytes);
  }

  #receiveMessage(bytes: Buffer): void {
    const most = this.#keyEpoch === null ? MAX_UNPROVEN_BYTES : MAX_MESSAGE_BYTES;
    const message = bytes.length > most ? null : readJson(bytes.toString('utf8'));
    if (!validator.Check(message)) {
      this.close(
        CLOSE.malformed,
        'a text frame is {"type":"prove",...}, {"type":"ping","sentAtMs":0} or {"type":"have",...}',
      );
      return;
    }
    if (message.type === 'prove') this.#prove(message.site, message.proof);
    else if (this.#keyEpoch === null) this.close(CLOSE.malformed, 'prove who you are before anything else');
    else if (message.type === 'have') this.#host.holds(this, message);
    else this.#send({ type: 'pong', sentAtMs: message.sentAtMs, hubTimeMs: this.#host.clock.nowMs() });
  }

  #prove(site: string, proof: string): void {
    if (this.#keyEpoch !== null) {
      this.close(CLOSE.malformed, 'this channel has proved who it is already');
      return;
    }
    if (site !== this.site) {
      this.close(CLOSE.unauthorized, `this is the channel of ${this.site}, not of ${site}`);
      return;
    }
    const known = this.#host.keyOf(site);
    if (known === null) {
      this.close(CLOSE.removed, `the hub knows no site ${site}; add it with plumbline site add ${site}`);
      return;
    }
    if (!sameSecret(proof, channelProof(keyFrom(known.key), site, this.#nonce))) {
      this.close(
        CLOSE.unauthorized,
        `the key is not that of ${site}; join again with a token of plumbline site token ${site}`,
      );
      return;
    }
    clearTimeout(this.#deadline);
    this.#keyEpoch = known.keyEpoch;
    this.#beating = setInterval(() => this.#beat(), QUIET_MS);
    this.#host.proven(this);
    this.#send({
      type: 'welcome',
      hubTimeMs: this.#host.clock.nowMs(),
      windowFrames: WINDOW_FRAMES,
      backfillPerS: BACKFILL_PER_S,
    });
  }

  #beat(): void {
    if (this.#silence === 'asked') {
      this.#socket.terminate();
      return;
    }
    if (this.#silence === 'quiet') this.#socket.ping();
    this.#silence = this.#silence === 'quiet' ? 'asked' : 'quiet';
  }

  #receiveFrame(bytes: Buffer): void {
    if (this.#keyEpoch === null) {
      this.close(CLOSE.malformed, 'prove who you are before anything else');
      return;
    }
    const decoded = decodeReportFrame(bytes);
    if (!decoded.ok) {
      this.close(CLOSE.malformed, decoded.reason);
      return;
    }
    this.#host.budget.take(bytes.length);
    this.#queued.push({ frame: decoded.frame, bytes: bytes.length });
    this.#unacknowledged++;
    this.#readOn();
    void this.#storeQueued();
  }

  /** Reads on or waits: a site that is over its window, and everybody while all together have too much waiting. */
  #readOn(): void {
    const { budget } = this.#host;
    const isFull = this.#unacknowledged >= WINDOW_FRAMES;
    if (!isFull && !budget.isSpent) {
      if (this.#socket.isPaused) this.#socket.resume();
      return;
    }
    this.#socket.pause();
    if (!isFull && this.#isOpen) budget.whenRoom(this.#resume);
  }

  /** One append at a time, of all that came meanwhile, so that a site's reports keep their order. */
  async #storeQueued(): Promise<void> {
    if (this.#storing) return;
    this.#storing = true;
    while (this.#queued.length > 0 && this.#isOpen) {
      const taken = this.#queued;
      this.#queued = [];
      const frames = taken.map(({ frame }) => frame);
      const isDurable = await this.#host.store(this.site, frames);
      this.#unacknowledged -= taken.length;
      for (const { bytes } of taken) this.#host.budget.giveBack(bytes);
      if (isDurable) for (const { frame } of frames) this.#send({ type: 'ack', frame });
      else this.close(CLOSE.overloaded, 'the log takes no reports at the moment; keep them and try again');
      this.#readOn();
    }
    this.#storing = false;
  }

  #send(message: HubMessage): void {
    if (!this.#isOpen) return;
    if (this.#socket.bufferedAmount - this.#documentBytes > MAX_UNSENT_BYTES) {
      this.close(CLOSE.overloaded, 'the site does not read its acknowledgements');
      return;
    }
    this.#socket.send(JSON.stringify(message));
  }

  /** ws bounds a message, not what may be sent before there is proof; the bytes of the connection do. */
  #boundUnproven(raw: Duplex): void {
    let received = 0;
    const count = (chunk: Buffer) => {
      received += chunk.length;
      if (this.#keyEpoch !== null || !this.#isOpen) raw.off('data', count);
      else if (received > MAX_UNPROVEN_BYTES) {
        raw.off('data', count);
        this.close(CLOSE.tooBig, `at most ${MAX_UNPROVEN_BYTES} bytes before you prove who you are`);
        this.#socket.pause();
        setTimeout(() => this.#socket.terminate(), LINGER_MS).unref();
      }
    };
    raw.on('data', count);
  }

  /** ws has closed it already, with the code of what the other side did wrong. */
  #fail(error: Error): void {
    const isTooBig = 'code' in error && error.code === 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH';
    if (this.#isOpen && 'code' in error && String(error.code).startsWith('WS_ERR'))
      this.#host.ended(
        this,
        isTooBig ? CLOSE.tooBig : CLOSE.malformed,
        isTooBig ? `a frame has at most ${MAX_FRAME_BYTES} bytes; send fewer reports in one` : error.message,
      );
    this.#isOpen = false;
    this.#release();
  }

  #release(): void {
    this.#isOpen = false;
    clearTimeout(this.#deadline);
    clearInterval(this.#beating);
    this.#host.budget.forget(this.#resume);
    for (const { bytes } of this.#queued) this.#host.budget.giveBack(bytes);
    this.#queued = [];
  }
}

function toBuffer(data: RawData): Buffer {
  if (Buffer.isBuffer(data)) return data;
  return Array.isArray(data) ? Buffer.concat(data) : Buffer.from(data);
}
