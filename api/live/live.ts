import { Compile } from 'typebox/compile';
import type { RawData, WebSocket } from 'ws';
import { readJson } from '../../core/json.ts';
import { LIVE_CLOSE } from '../../core/live-close.ts';
import { type HubView, type LiveMessage, LiveRequest } from '../../core/model/view.ts';
import type { Logger } from '../../core/ports/logger.ts';
import type { Metrics } from '../../core/ports/metrics.ts';
import { Audience } from './audience.ts';
import { type Filter, readFilter } from './filter.ts';
import type { Fleet } from './fleet.ts';
import { Viewer } from './viewer.ts';

const TICK_MS = 250;
/** One viewer is sent this much a second at most on the average: larger deltas come less often. */
const BYTES_PER_MS = 1000;
/** How often it is looked whether viewers are still signed in. */
const RECHECK_MS = 1000;
const MAX_VIEWERS = 500;
const MAX_AUDIENCES = 200;
const validator = Compile(LiveRequest);
const USAGE =
  'send {"type":"subscribe","filter":{"virtualSite":"NAME","selector":"env in (prod)"}}; both filters are optional';

/** The live view: viewers with the same filter are an audience and share every text. Works only while somebody looks. */
export class Live {
  readonly #fleet: Fleet;
  readonly #hub: () => HubView;
  readonly #logger: Logger;
  /** Each with whether it is still signed in. */
  readonly #viewers = new Map<Viewer, () => boolean>();
  readonly #audiences = new Map<string, Audience>();
  #changed = new Set<string>();
  #removed = new Set<string>();
  #aside = false;
  #shownHub = '';
  #recheckedAtMs = 0;
  #timer: NodeJS.Timeout | undefined;
  readonly #stopWatching: () => void;
  readonly #countViewers: (value: number) => void;
  readonly #countSlow: () => void;

  constructor(parts: { fleet: Fleet; hub: () => HubView; logger: Logger; metrics: Metrics }) {
    const { fleet, metrics } = parts;
    this.#fleet = fleet;
    this.#hub = parts.hub;
    this.#logger = parts.logger;
    this.#countViewers = metrics.gauge('plumbline_live_viewers', 'Connections to the live view');
    this.#countSlow = metrics.counter(
      'plumbline_live_slow_total',
      'Viewers let go because they did not keep up',
    );
    this.#stopWatching = fleet.onChange(({ changed, removed, aside }) => {
      for (const id of changed) this.#changed.add(id);
      for (const id of removed) this.#removed.add(id);
      this.#aside ||= aside;
    });
  }

  get isFull(): boolean {
    return this.#viewers.size >= MAX_VIEWERS;
  }

  /** Takes a connection that has been signed in. It is sent nothing until it subscribes. */
  take(socket: WebSocket, isSignedIn: () => boolean): void {
    const viewer = new Viewer(socket);
    this.#viewers.set(viewer, isSignedIn);
    this.#countViewers(this.#viewers.size);
    socket.on('message', (data, isBinary) => this.#subscribe(viewer, data, isBinary));
    socket.on('error', (error) => this.#logger.debug({ err: error }, 'live.socket.failed'));
    socket.once('close', () => this.#leave(viewer));
    this.#timer ??= setTimeout(() => this.#tick(), TICK_MS);
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#stopWatching();
    for (const { socket } of this.#viewers.keys()) socket.close(1001, 'the hub stops');
  }

  #subscribe(viewer: Viewer, data: RawData, isBinary: boolean): void {
    if (!this.#viewers.has(viewer)) return;
    if (viewer.isBehind) {
      this.#endSlow(viewer);
      return;
    }
    const request = isBinary ? null : readJson(data.toString());
    if (!validator.Check(request)) {
      refuse(viewer, 'bad-request', USAGE);
      return;
    }
    const read = readFilter(request.filter ?? {});
    if (!read.ok) {
      refuse(viewer, 'invalid-selector', read.detail);
      return;
    }
    viewer.wanted = read.filter;
    if (!viewer.isDue(this.#hub().nowMs)) return;
    this.#flush();
    this.#join(viewer, read.filter);
  }

  #join(viewer: Viewer, filter: Filter): void {
    viewer.wanted = null;
    this.#leaveAudience(viewer);
    const known = this.#audiences.get(filter.key);
    if (known === undefined && this.#audiences.size >= MAX_AUDIENCES) {
      refuse(
        viewer,
        'too-many-requests',
        `${MAX_AUDIENCES} filters are watched already; use a virtual site's`,
      );
      return;
    }
    const audience = known ?? new Audience(filter, this.#fleet);
    this.#audiences.set(filter.key, audience);
    viewer.join(audience, this.#hub());
  }

  #leave(viewer: Viewer): void {
    this.#viewers.delete(viewer);
    this.#leaveAudience(viewer);
    this.#countViewers(this.#viewers.size);
    if (this.#viewers.size > 0) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #leaveAudience(viewer: Viewer): void {
    const { audience } = viewer;
    viewer.audience = null;
    if (audience === null) return;
    for (const other of this.#viewers.keys()) if (other.audience === audience) return;
    this.#audiences.delete(audience.filter.key);
  }

  #tick(): void {
    const hub = this.#hub();
    this.#endSignedOut(hub.nowMs);
    const largest = this.#flush();
    for (const viewer of this.#viewers.keys()) {
      if (!viewer.tend(hub)) this.#endSlow(viewer);
      else if (viewer.wanted !== null && !viewer.isBehind && viewer.isDue(hub.nowMs))
        this.#join(viewer, viewer.wanted);
    }
    if (this.#viewers.size === 0) return;
    this.#timer = setTimeout(() => this.#tick(), Math.max(TICK_MS, largest / BYTES_PER_MS));
  }

  #endSlow(viewer: Viewer): void {
    this.#countSlow();
    this.#logger.info({ unsentBytes: viewer.socket.bufferedAmount }, 'live.viewer.slow');
    // What it has not read stands before this in its way; ws ends the connection by itself after 30 s.
    viewer.socket.close(LIVE_CLOSE.slow, 'slow');
    this.#leave(viewer);
  }

  #endSignedOut(nowMs: number): void {
    if (nowMs >= this.#recheckedAtMs && nowMs - this.#recheckedAtMs < RECHECK_MS) return;
    this.#recheckedAtMs = nowMs;
    for (const [viewer, isSignedIn] of this.#viewers) {
      if (isSignedIn()) continue;
      viewer.socket.close(LIVE_CLOSE.signedOut, 'sign in again');
      this.#leave(viewer);
    }
  }

  /** Brings every audience to the fleet's present; gives the size of the largest delta. */
  #flush(): number {
    this.#fleet.refresh();
    const [changed, removed, aside] = [this.#changed, this.#removed, this.#aside];
    this.#changed = new Set();
    this.#removed = new Set();
    this.#aside = false;
    const hub = this.#hub();
    const hubChanged = this.#hubChanged(hub);
    let largest = 0;
    for (const audience of this.#audiences.values()) {
      const from = audience.version;
      const step = audience.step(changed, removed, aside);
      const text = step === null ? '' : audience.delta(from, step.changed, step.removed, hub);
      largest = Math.max(largest, text.length);
      for (const viewer of this.#viewers.keys()) {
        if (viewer.audience !== audience) continue;
        if (step !== null) viewer.offer(step, text, hub);
        else if (hubChanged) viewer.pulse(hub);
      }
    }
    return largest;
  }

  /** Whether anything but the time is different from what was last told. */
  #hubChanged(hub: HubView): boolean {
    const shown = JSON.stringify({ ...hub, nowMs: 0 });
    const isNew = shown !== this.#shownHub;
    this.#shownHub = shown;
    return isNew;
  }
}

function refuse(viewer: Viewer, code: string, detail: string): void {
  viewer.socket.send(JSON.stringify({ type: 'error', code, detail } satisfies LiveMessage));
}
