import Type, { type Static } from 'typebox';
import { MAX_REPORT_BYTES } from './model/report.ts';
import { Envelope, Version } from './model/signed.ts';
import { SiteId } from './model/site.ts';

/*
 * The gateway's protocol, on WebSocket /api/v1/sites/{id}/channel, subprotocol `plumbline.v1`. Text frames are JSON
 * control messages; binary frames carry sealed reports upward. Order on a fresh connection:
 *
 *   hub  → hello {nonce, hubTimeMs}
 *   site → prove {site, proof, instance}          proof = channelProof(key, site, nonce)
 *   hub  → welcome {hubTimeMs, windowFrames, backfillPerS}   or   close(4401)
 *   site → ping {sentAtMs}                        hub → pong {sentAtMs, hubTimeMs}   (offset by Cristian's algorithm)
 *   site → have {targets, specs}                  what a site with a policy agent holds; after welcome, and again when there is room
 *                                                 for what it had to refuse
 *   hub  → documents {envelopes, whole}           keys first; every target and label document that concerns it (also those that it
 *                                                 has: a target that does not come before `whole` is an orphan), the specs that are
 *                                                 missing there; from then on every change that concerns it
 *   site → binary frame of reports                hub → ack {frame}   once the log has them durably, in frame order
 *
 * A site has at most `windowFrames` frames unacknowledged; the hub stops reading from one that has more.
 */

export const CHANNEL_SUBPROTOCOL = 'plumbline.v1';
/** Largest frame in either direction, in bytes; a longer one closes the channel with 1009. */
export const MAX_FRAME_BYTES = 1024 * 1024;
/** How many frames may be unacknowledged, and how long a site may take to prove itself. */
export const WINDOW_FRAMES = 8;
export const PROVE_WITHIN_MS = 10_000;

/** Close codes of the gateway; the reason that goes with one says what to do. */
export const CLOSE = {
  unauthorized: 4401,
  removed: 4403,
  malformed: 4400,
  replaced: 4409,
  overloaded: 4429,
  goingAway: 1001,
  tooBig: 1009,
} as const;

/** What a site may say that it holds; what it leaves out is sent again. */
export const MAX_HELD_TARGETS = 64;
export const MAX_HELD_SPECS = 128;

const LANES = ['live', 'backfill'] as const;
export type Lane = (typeof LANES)[number];

export const HubMessage = Type.Union([
  Type.Object({ type: Type.Literal('hello'), nonce: Type.String(), hubTimeMs: Type.Integer() }),
  Type.Object({
    type: Type.Literal('welcome'),
    hubTimeMs: Type.Integer(),
    windowFrames: Type.Integer({ minimum: 1 }),
    /** How many held reports a second the site may send on the backfill lane. */
    backfillPerS: Type.Integer({ minimum: 1 }),
  }),
  Type.Object({ type: Type.Literal('pong'), sentAtMs: Type.Number(), hubTimeMs: Type.Integer() }),
  Type.Object({ type: Type.Literal('ack'), frame: Type.Integer() }),
  Type.Object({
    type: Type.Literal('documents'),
    envelopes: Type.Array(Envelope, { maxItems: 256 }),
    /** With it the site has all that the hub has for it now. */
    whole: Type.Boolean(),
  }),
]);
export type HubMessage = Static<typeof HubMessage>;

export const SiteMessage = Type.Union([
  Type.Object({
    type: Type.Literal('prove'),
    site: SiteId,
    proof: Type.String({ maxLength: 64 }),
    /** Random id of this installation, kept in its spool. */
    instance: Type.String({ minLength: 8, maxLength: 64 }),
  }),
  Type.Object({ type: Type.Literal('ping'), sentAtMs: Type.Number() }),
  Type.Object({
    type: Type.Literal('have'),
    targets: Type.Array(Type.Object({ key: Type.String({ maxLength: 160 }), version: Version }), {
      maxItems: MAX_HELD_TARGETS,
    }),
    specs: Type.Array(Type.String({ maxLength: 160 }), { maxItems: MAX_HELD_SPECS }),
  }),
]);
export type SiteMessage = Static<typeof SiteMessage>;

/** Sealed reports of one lane, with a number that the acknowledgement names. */
export type ReportFrame = { frame: number; lane: Lane; reports: readonly Uint8Array[] };

/** Layout: u8 version (1), u8 lane (0 live, 1 backfill), u32be frame, then per report u32be length and its bytes. */
export function encodeReportFrame(frame: ReportFrame): Buffer {
  const size = frame.reports.reduce((sum, report) => sum + 4 + report.byteLength, 6);
  const bytes = Buffer.allocUnsafe(size);
  bytes.writeUInt8(1, 0);
  bytes.writeUInt8(LANES.indexOf(frame.lane), 1);
  bytes.writeUInt32BE(frame.frame, 2);
  let at = 6;
  for (const report of frame.reports) {
    bytes.writeUInt32BE(report.byteLength, at);
    bytes.set(report, at + 4);
    at += 4 + report.byteLength;
  }
  return bytes;
}

/** The parts share memory with `bytes`. */
export function decodeReportFrame(
  bytes: Buffer,
): { ok: true; frame: ReportFrame } | { ok: false; reason: string } {
  if (bytes.length < 6)
    return { ok: false, reason: `a frame has at least 6 bytes, this one has ${bytes.length}` };
  if (bytes[0] !== 1) return { ok: false, reason: `frame version ${bytes[0]} is not known here (1 is)` };
  const lane = LANES[bytes.readUInt8(1)];
  if (lane === undefined) return { ok: false, reason: `lane ${bytes[1]} is not known (0 live, 1 backfill)` };
  const reports: Uint8Array[] = [];
  let at = 6;
  while (at < bytes.length) {
    if (at + 4 > bytes.length) return { ok: false, reason: 'the frame ends inside a length' };
    const length = bytes.readUInt32BE(at);
    at += 4;
    if (length === 0 || length > MAX_REPORT_BYTES)
      return { ok: false, reason: `a report has 1 to ${MAX_REPORT_BYTES} bytes, this one says ${length}` };
    if (at + length > bytes.length) return { ok: false, reason: 'the frame ends inside a report' };
    reports.push(bytes.subarray(at, at + length));
    at += length;
  }
  if (reports.length === 0) return { ok: false, reason: 'the frame has no report' };
  return { ok: true, frame: { frame: bytes.readUInt32BE(2), lane, reports } };
}
