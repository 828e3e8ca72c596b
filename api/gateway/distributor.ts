import type { SiteMessage } from '../../core/channel.ts';
import type { Clock } from '../../core/ports/clock.ts';
import type { Metrics } from '../../core/ports/metrics.ts';
import { type Chunk, Delivery } from './delivery.ts';
import { DocumentFrames } from './document-frames.ts';
import type { Concern, Documents } from './documents.ts';

/** Channels that are served before others in this process have their turn. */
const CHANNELS_A_TURN = 500;

/** A way to a site, for its documents. `push` calls back once they left this process, with false when they never will. */
export type Outlet = { readonly site: string; push(frame: Buffer, done: (sent: boolean) => void): void };

/**
 * Brings to each site what concerns it: all that it lacks when it says what it has, and from then on what changes. A
 * channel has one frame of documents on its way at a time; a slow one delays nobody.
 */
export class Distributor {
  readonly #documents: Documents;
  readonly #clock: Clock;
  readonly #frames = new DocumentFrames();
  readonly #deliveries = new Map<Outlet, Delivery>();
  readonly #bySite = new Map<string, Set<Outlet>>();
  readonly #waiting = new Set<Outlet>();
  readonly #busy = new Set<Outlet>();
  readonly #count: (labels?: Record<string, string>, by?: number) => void;
  readonly #delay: (valueS: number) => void;
  readonly #stopWatching: () => void;
  #turn: NodeJS.Immediate | null = null;

  constructor(documents: Documents, clock: Clock, metrics: Metrics) {
    this.#documents = documents;
    this.#clock = clock;
    this.#count = metrics.counter('plumbline_gateway_documents_total', 'Signed documents sent to sites');
    this.#delay = metrics.histogram(
      'plumbline_gateway_target_delay_seconds',
      'From the signing of a target to its sending, a site',
      [0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.15, 0.2, 0.3, 0.5, 1, 2.5, 5],
    );
    this.#stopWatching = documents.onChange((concerns) => this.#note(concerns));
  }

  /** A site said what it has. Saying it again begins anew. */
  add(outlet: Outlet, have: Extract<SiteMessage, { type: 'have' }>): void {
    this.#deliveries.set(outlet, new Delivery(outlet.site, have, this.#documents));
    const outlets = this.#bySite.get(outlet.site) ?? new Set();
    this.#bySite.set(outlet.site, outlets.add(outlet));
    this.#wait(outlet);
  }

  remove(outlet: Outlet): void {
    this.#deliveries.delete(outlet);
    this.#waiting.delete(outlet);
    this.#busy.delete(outlet);
    const outlets = this.#bySite.get(outlet.site);
    outlets?.delete(outlet);
    if (outlets?.size === 0) this.#bySite.delete(outlet.site);
  }

  stop(): void {
    this.#stopWatching();
    if (this.#turn !== null) clearImmediate(this.#turn);
    this.#turn = null;
    this.#deliveries.clear();
    this.#waiting.clear();
  }

  #note(concerns: readonly Concern[]): void {
    this.#frames.clear();
    const targets = new Set<string>();
    let isForAll = false;
    for (const { site, targets: concerned } of concerns) {
      if (site !== null) this.#noteSite(site);
      else isForAll = true;
      if (site === null && concerned !== 'all') for (const key of concerned) targets.add(key);
    }
    if (!isForAll) return;
    for (const [outlet, delivery] of this.#deliveries) {
      delivery.note(targets);
      this.#wait(outlet);
    }
  }

  #noteSite(site: string): void {
    for (const outlet of this.#bySite.get(site) ?? []) {
      this.#deliveries.get(outlet)?.note('all');
      this.#wait(outlet);
    }
  }

  #wait(outlet: Outlet): void {
    this.#waiting.add(outlet);
    this.#turn ??= setImmediate(() => this.#takeTurn());
  }

  #takeTurn(): void {
    this.#turn = null;
    let left = CHANNELS_A_TURN;
    for (const outlet of this.#waiting) {
      if (left-- === 0) break;
      this.#waiting.delete(outlet);
      this.#serve(outlet);
    }
    if (this.#waiting.size > 0) this.#turn ??= setImmediate(() => this.#takeTurn());
  }

  /** Whoever is busy is served again when its frame has left. */
  #serve(outlet: Outlet): void {
    if (this.#busy.has(outlet)) return;
    const chunk = this.#deliveries.get(outlet)?.next() ?? null;
    if (chunk === null) return;
    this.#busy.add(outlet);
    outlet.push(this.#frames.frame(chunk), (sent) => {
      if (!this.#busy.delete(outlet) || !sent) return;
      this.#measure(chunk);
      this.#wait(outlet);
    });
  }

  #measure({ documents }: Chunk): void {
    this.#count({}, documents.length);
    const nowMs = this.#clock.nowMs();
    for (const { issuedAtMs } of documents)
      if (issuedAtMs !== null) this.#delay(Math.max(0, nowMs - issuedAtMs) / 1000);
  }
}
