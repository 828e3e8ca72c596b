import type { Lane } from '../channel.ts';

/*
 * A site's way to the stream.
 *
 * - `send` resolves with `ok` only when the stream has the reports durably, so that the spool may forget them. Anything
 *   else leaves them held; the caller sends them again when `onReady` fires. Sending twice is harmless.
 * - It connects by itself, again and again with jittered backoff (1 s to 30 s), until stopped.
 * - `offsetMs` is the hub's clock less this machine's, null before the first contact; measured again at least once a minute.
 */
export type SendOutcome = { ok: true } | { ok: false; code: 'away' };

export interface Uplink {
  start(): Promise<void>;
  send(lane: Lane, reports: readonly Uint8Array[]): Promise<SendOutcome>;
  readonly ready: boolean;
  onReady(listener: () => void): void;
  offsetMs(): number | null;
  /** Held reports a second that the hub allows; known once ready. */
  backfillPerS(): number;
  /** Why it is not connected, for a person; null when it is. */
  trouble(): string | null;
  stop(): Promise<void>;
}
