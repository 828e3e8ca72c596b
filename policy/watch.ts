import type { Hearing } from '../core/freshness.ts';
import type { Logger } from '../core/ports/logger.ts';
import type { Metrics } from '../core/ports/metrics.ts';
import { type Store, StoreError } from '../core/ports/store.ts';
import { type Table, TableError } from '../core/ports/table.ts';
import type { Authority } from './authority.ts';
import { firstWatermark, isCensusDue, type Watermark } from './census-clock.ts';
import { eventRow } from './event-row.ts';
import {
  blindEvent,
  blindStretch,
  HEARTBEAT_MS,
  hubStatus,
  type Stretch,
  startedEvent,
} from './hub-status.ts';
import type { World } from './membership.ts';
import type { MembershipKeeper } from './membership-keeper.ts';
import type { Registry } from './registry.ts';
import { SilenceKeeper } from './silence-keeper.ts';
import type { SiteStates } from './site-states.ts';
import type { Troubles } from './troubles.ts';

/** States of removed sites that one tick clears away. */
const CLEARED_A_TICK = 1_000;
const CENSUS_RETRY_MS = 10_000;

export type WatchOptions = {
  table: Table;
  store: Store;
  census: { count(from: Watermark, nowMs: number): Promise<Watermark> };
  registry: Registry;
  authority: Authority;
  states: SiteStates;
  troubles: Troubles;
  keeper: MembershipKeeper;
  logger: Logger;
  metrics: Metrics;
  hearing: () => Hearing;
};

/** What control does once a second, each part from what is, not from what happened, so that a failed part is simply due again. */
export class Watch {
  readonly #given: WatchOptions;
  readonly #failed: (labels: Record<string, string>) => void;
  readonly #silentSites: (value: number) => void;
  readonly #silences: SilenceKeeper;
  #blind: Stretch | null = null;
  #watermark: Watermark = { minutesThroughMs: 0, dirtyThroughMs: 0 };
  #aliveAtMs: number | null = null;
  #saidAliveAtMs = Number.NEGATIVE_INFINITY;
  #counting: Promise<void> | null = null;
  #countNotBeforeMs = 0;

  constructor(given: WatchOptions) {
    this.#given = given;
    this.#silences = new SilenceKeeper(given.store);
    this.#failed = given.metrics.counter(
      'plumbline_control_failures_total',
      'Parts of a tick that failed and are due again.',
      ['part'],
    );
    this.#silentSites = given.metrics.gauge(
      'plumbline_silent_sites',
      'Sites whose silence was told and lasts.',
    );
  }

  get #world(): World {
    const { registry, states } = this.#given;
    return { sites: registry.sites, virtualSites: registry.virtualSites, states: states.all };
  }

  /** Reads what was told and opened before, and says that the hub watches again. Rejects when the store is away. */
  async begin(nowMs: number): Promise<void> {
    const { registry, store, keeper } = this.#given;
    const before = registry.hub?.spec ?? null;
    this.#aliveAtMs = before?.aliveAtMs ?? null;
    this.#blind = before?.blind ?? null;
    this.#watermark = before?.census ?? firstWatermark(nowMs);
    this.#takeStates();
    await this.#silences.restore();
    await keeper.restore(this.#world, this.#aliveAtMs ?? 0);
    await store.insert('event', [eventRow(startedEvent(nowMs))]);
    await this.#heartbeat(nowMs);
  }

  /** Apart from the ticks, so that a slow store is not taken for a hub that was away. */
  async beat(nowMs: number): Promise<void> {
    await this.#part('heartbeat', () => this.#heartbeat(nowMs));
  }

  async tick(nowMs: number): Promise<void> {
    const { keeper } = this.#given;
    this.#takeStates();
    await this.#part('silence', () => this.#tellSilence(nowMs));
    await this.#part('troubles', () => this.#tellTroubles(nowMs));
    await this.#part('states', () => this.#clearStates());
    await this.#part('membership', () => keeper.step(this.#world, nowMs));
    this.#startCensus(nowMs);
  }

  /** The last word of an owner that stops: from now on nobody watches. */
  async sayGoodbye(nowMs: number): Promise<void> {
    await this.#counting;
    await this.#sayAlive(nowMs);
  }

  /** Runs a part; when its store or table is away the part is due again with the next tick. */
  async #part(part: string, run: () => Promise<void>): Promise<void> {
    try {
      await run();
    } catch (error) {
      if (!(error instanceof StoreError || error instanceof TableError)) throw error;
      this.#failed({ part });
      this.#given.logger.warn({ part, code: error.code, message: error.message }, 'control.part_failed');
    }
  }

  #takeStates(): void {
    const { states, registry, keeper, logger } = this.#given;
    const { changed, unreadable } = states.refresh();
    for (const site of unreadable) logger.error({ site }, 'state.unreadable');
    for (const site of changed) if (registry.site(site) !== undefined) keeper.noteSite(site);
  }

  async #heartbeat(nowMs: number): Promise<void> {
    const stretch = blindStretch(this.#aliveAtMs, nowMs);
    if (stretch !== null) {
      await this.#given.store.insert('event', [eventRow(blindEvent(stretch))]);
      this.#blind = stretch;
      this.#given.logger.warn(stretch, 'hub.blind');
    }
    this.#aliveAtMs = nowMs;
    if (stretch !== null || nowMs - this.#saidAliveAtMs >= HEARTBEAT_MS || nowMs < this.#saidAliveAtMs)
      await this.#sayAlive(nowMs);
  }

  async #sayAlive(nowMs: number): Promise<void> {
    const { registry, authority, troubles } = this.#given;
    const spec = {
      aliveAtMs: nowMs,
      blind: this.#blind,
      census: this.#watermark,
      troubles: [...troubles.standing],
      told: [...troubles.told],
    };
    const written = await authority.write([{ put: hubStatus(registry.hub, nowMs, spec) }]);
    if (written === 'written') this.#saidAliveAtMs = nowMs;
    if (written === 'unavailable') this.#failed({ part: 'heartbeat' });
  }

  async #tellSilence(nowMs: number): Promise<void> {
    const { registry, states } = this.#given;
    const heard = this.#given.hearing();
    // Nobody is blamed for a stretch in which nobody watched, whatever the aggregator says it heard.
    const hearing = { ...heard, sinceMs: Math.max(heard.sinceMs, this.#blind?.toMs ?? 0) };
    await this.#silences.step(registry.sites, states.all, hearing, nowMs);
    this.#silentSites(this.#silences.lasting);
  }

  /** Whoever asks the hub of itself hears of them at once. */
  async #tellTroubles(nowMs: number): Promise<void> {
    if (await this.#given.troubles.tell()) await this.#sayAlive(nowMs);
  }

  /** A removed site's state goes with it, so that a site of the same name begins anew. */
  async #clearStates(): Promise<void> {
    const { registry, states, table } = this.#given;
    const orphans: string[] = [];
    for (const site of states.all.keys()) {
      if (orphans.length >= CLEARED_A_TICK) break;
      if (registry.site(site) === undefined) orphans.push(site);
    }
    const entries = orphans.map((key) => ({ key, value: null }));
    if (entries.length > 0) await table.write('state', entries);
  }

  /** Beside the ticks, because counting may take longer than one; never two at a time. */
  #startCensus(nowMs: number): void {
    const { hearing, census } = this.#given;
    if (this.#counting !== null || nowMs < this.#countNotBeforeMs) return;
    if (!isCensusDue(this.#watermark, hearing().caughtUp, nowMs)) return;
    this.#counting = this.#part('census', async () => {
      const from = this.#watermark;
      this.#countNotBeforeMs = nowMs + CENSUS_RETRY_MS;
      this.#watermark = await census.count(from, nowMs);
      if (this.#watermark.minutesThroughMs > from.minutesThroughMs) this.#countNotBeforeMs = 0;
    }).finally(() => {
      this.#counting = null;
    });
  }
}
