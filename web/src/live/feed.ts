/*
 * Keeps the page's picture of the fleet up to date over WebSocket /api/v1/live, for as long as the page is open.
 *
 * - A connection that is silent for longer than SILENCE_MS (SNAPSHOT_MS before its first picture) is taken for gone, whatever the browser believes of it.
 * - It is opened again with jittered backoff; what was known stays, marked as away, never shown as live.
 * - One that the hub closed because the session is over is not opened again: the page asks to sign in.
 * - A delta that does not follow the version held is answered by subscribing again; at most once every RESYNC_MS.
 * - Everything from outside (socket, session, timers, randomness) is an argument.
 */
import { LIVE_CLOSE } from '../../../core/live-close.ts';
import type { LiveMessage, LiveRequest } from '../../../core/model/view.ts';
import { afterMessage, type Fleet } from './fleet.ts';

/** The hub sends something at least every 5 s. */
export const SILENCE_MS = 12_000;
/** A large fleet's snapshot over a poor line arrives as one message. */
export const SNAPSHOT_MS = 60_000;
const FIRST_RETRY_MS = 1_000;
const LONGEST_RETRY_MS = 30_000;
const RESYNC_MS = 2_000;

type FeedFilter = NonNullable<LiveRequest['filter']>;

export type FeedState = {
  /** `live` only while a current picture comes in. */
  phase: 'connecting' | 'live' | 'away' | 'signed-out';
  fleet: Fleet | null;
  /** Wall time here when the newest message came; null before the first. */
  heardAtMs: number | null;
  /** The hub's clock less the one here. */
  hubOffsetMs: number;
  /** When the next try is due, wall time here; null when none is waiting. */
  retryAtMs: number | null;
  /** What the hub refused of the last subscription; null when nothing. */
  refusal: string | null;
};

type FeedSocket = { send(text: string): void; close(): void };
export type FeedWorld = {
  open(on: { open(): void; text(text: string): void; close(code: number): void }): FeedSocket;
  /** Whether the hub still knows this session; `unreachable` when it can't be asked. */
  session(): Promise<'signed-in' | 'signed-out' | 'unreachable'>;
  nowMs(): number;
  /** Calls back once; gives what stops it. */
  after(delayMs: number, run: () => void): () => void;
  random(): number;
};

export class Feed {
  state: FeedState = {
    phase: 'connecting',
    fleet: null,
    heardAtMs: null,
    hubOffsetMs: 0,
    retryAtMs: null,
    refusal: null,
  };
  #world: FeedWorld;
  #listeners = new Set<() => void>();
  #socket: FeedSocket | null = null;
  /** Raised with every connection, so that a late callback of an older one is ignored. */
  #connection = 0;
  #attempts = 0;
  #open = false;
  #awaitsSnapshot = true;
  #resyncedAtMs = Number.NEGATIVE_INFINITY;
  #filter: FeedFilter = {};
  #stopRetry = () => {};
  #stopWatch = () => {};

  constructor(world: FeedWorld) {
    this.#world = world;
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  start(): void {
    if (this.#socket === null) this.#connect();
  }

  /** As `start`, but a hub that knows no session is not dialled: browsers show a refused connection as an error. */
  async startIfSignedIn(): Promise<void> {
    if ((await this.#world.session()) === 'signed-out') this.#signedOut();
    else this.start();
  }

  /** Idempotent; keeps the last picture. */
  stop(): void {
    this.#drop();
    this.#stopRetry();
    this.#attempts = 0;
  }

  /** Tries at once when away. */
  retryNow(): void {
    if (this.state.phase === 'away' && this.#socket === null) this.#connect();
  }

  /** Asks the hub for less: only what the filter selects. */
  narrow(filter: FeedFilter): void {
    if (JSON.stringify(filter) === JSON.stringify(this.#filter)) return;
    this.#filter = filter;
    if (this.#open) this.#subscribe();
  }

  #connect(): void {
    this.#stopRetry();
    this.#connection += 1;
    const connection = this.#connection;
    const current = (run: () => void) => {
      if (connection === this.#connection) run();
    };
    this.#set({ retryAtMs: null, ...(this.state.fleet === null && { phase: 'connecting' }) });
    this.#watch();
    this.#socket = this.#world.open({
      open: () =>
        current(() => {
          this.#open = true;
          this.#subscribe();
        }),
      text: (text) => current(() => this.#receive(text)),
      close: (code) =>
        current(() => {
          if (code === LIVE_CLOSE.signedOut) this.#signedOut();
          else this.#lost();
        }),
    });
  }

  #subscribe(): void {
    const request: LiveRequest = { type: 'subscribe' };
    if (Object.keys(this.#filter).length > 0) request.filter = this.#filter;
    this.#awaitsSnapshot = true;
    if (this.state.phase !== 'live') this.#watch();
    this.#socket?.send(JSON.stringify(request));
  }

  #receive(text: string): void {
    // The hub that serves this page wrote it, to the same shapes.
    const message: LiveMessage = JSON.parse(text);
    if (message.type === 'error') {
      // What was subscribed to before goes on.
      this.#awaitsSnapshot = this.state.fleet === null;
      this.#set({ refusal: message.detail });
      return;
    }
    if (message.type === 'snapshot') this.#awaitsSnapshot = false;
    // What can't be applied doesn't keep the picture alive.
    if (this.#awaitsSnapshot) return;
    const after = afterMessage(this.state.fleet, message);
    if (!after.ok) {
      this.#resync();
      return;
    }
    this.#attempts = 0;
    const nowMs = this.#world.nowMs();
    this.#set({
      phase: 'live',
      fleet: after.fleet,
      heardAtMs: nowMs,
      hubOffsetMs: message.hub.nowMs - nowMs,
      retryAtMs: null,
      ...(message.type === 'snapshot' && { refusal: null }),
    });
    this.#watch();
  }

  #resync(): void {
    const nowMs = this.#world.nowMs();
    if (nowMs - this.#resyncedAtMs < RESYNC_MS) return;
    this.#resyncedAtMs = nowMs;
    this.#subscribe();
  }

  /** Restarts the wait for the next message that counts. */
  #watch(): void {
    this.#stopWatch();
    const patienceMs = this.#open && this.state.phase !== 'live' ? SNAPSHOT_MS : SILENCE_MS;
    this.#stopWatch = this.#world.after(patienceMs, () => this.#lost());
  }

  #drop(): void {
    this.#stopWatch();
    this.#connection += 1;
    this.#open = false;
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
  }

  #lost(): void {
    this.#drop();
    const ceilingMs = Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** this.#attempts);
    const delayMs = ceilingMs * (0.5 + this.#world.random() / 2);
    this.#attempts += 1;
    this.#set({ phase: 'away', retryAtMs: this.#world.nowMs() + delayMs });
    this.#stopRetry();
    this.#stopRetry = this.#world.after(delayMs, () => this.#connect());
    const connection = this.#connection;
    void this.#world.session().then((session) => {
      if (session !== 'signed-out' || connection !== this.#connection) return;
      this.#signedOut();
    });
  }

  /** Nothing of the fleet stays on a page that nobody is signed in to. */
  #signedOut(): void {
    this.stop();
    this.#set({ phase: 'signed-out', fleet: null, heardAtMs: null, retryAtMs: null });
  }

  #set(change: Partial<FeedState>): void {
    this.state = { ...this.state, ...change };
    for (const listener of this.#listeners) listener();
  }
}
