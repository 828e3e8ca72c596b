import type { VirtualSite } from '../core/model/resource.ts';
import type { Logger } from '../core/ports/logger.ts';
import type { Metrics } from '../core/ports/metrics.ts';
import { type Store, StoreError } from '../core/ports/store.ts';
import { Membership, type MembershipRow, OPEN_END_MS, type World } from './membership.ts';

/** Evaluations between two pauses for others in this process (some 10 ms), and slices of them in one tick. */
const SLICE_EVALUATIONS = 50_000;
const SLICES_A_TICK = 20;
const BACKFILL_RETRY_MS = 30_000;

type KeeperOptions = {
  store: Store;
  backfill: (virtualSite: string, nowMs: number) => Promise<void>;
  logger: Logger;
  metrics: Metrics;
};

/**
 * Keeps table `membership` what labels and selectors say, and has the history of new virtual sites counted.
 *
 * A virtual site is new until a marker row says that its history was opened and counted: site '' from 0 to 0, an interval
 * in which nobody was a member of anything, with the virtual site's creation as version. A crash on the way opens it again.
 */
export class MembershipKeeper {
  readonly #membership = new Membership();
  readonly #store: Store;
  readonly #backfill: KeeperOptions['backfill'];
  readonly #logger: Logger;
  readonly #gauge: (value: number) => void;
  /** Virtual sites whose history is open, by when they were created. */
  readonly #marked = new Map<string, number>();
  /** New names whose old rows are still to be voided. */
  readonly #toVoid = new Set<string>();
  /** Opened virtual sites whose history is to be counted, and from when on to try. */
  readonly #toBackfill = new Map<string, number>();
  #backfilling: Promise<void> | null = null;

  constructor({ store, backfill, logger, metrics }: KeeperOptions) {
    this.#store = store;
    this.#backfill = backfill;
    this.#logger = logger;
    this.#gauge = metrics.gauge(
      'plumbline_memberships',
      'Sites that are a member now, over all virtual sites.',
    );
  }

  async restore(world: World, evaluatedThroughMs: number): Promise<void> {
    const intervals = await this.#store.query<{ virtual_site: string; sites: string[]; from_ms: number[] }>(
      `SELECT virtual_site, groupArray(site) AS sites, groupArray(toUnixTimestamp64Milli(from_at)) AS from_ms
       FROM plumbline.membership FINAL
       WHERE to_at = fromUnixTimestamp64Milli({open:Int64}) GROUP BY virtual_site`,
      { open: OPEN_END_MS },
    );
    const [newest] = await this.#store.query<{ version: number }>(
      'SELECT max(version) AS version FROM plumbline.membership',
    );
    const markers = await this.#store.query<{ virtual_site: string; version: number }>(
      "SELECT virtual_site, max(version) AS version FROM plumbline.membership WHERE site = '' GROUP BY virtual_site",
    );
    this.#membership.restore(
      intervals.map(({ virtual_site, sites, from_ms }) => ({
        virtualSite: virtual_site,
        sites,
        fromMs: from_ms.map(Number),
      })),
      Number(newest?.version ?? 0),
      evaluatedThroughMs,
    );
    for (const { virtual_site, version } of markers) this.#marked.set(virtual_site, Number(version));
    for (const name of world.sites.keys()) this.#membership.noteSite(name);
    for (const virtualSite of world.virtualSites.values()) this.noteVirtualSite(virtualSite);
  }

  noteSite(name: string): void {
    this.#membership.noteSite(name);
  }

  noteVirtualSite({ metadata }: VirtualSite): void {
    const isNew = this.#marked.get(metadata.name) !== metadata.createdAtMs;
    if (isNew) this.#toVoid.add(metadata.name);
    this.#membership.noteVirtualSite(metadata.name, isNew);
  }

  noteVirtualSiteGone(name: string): void {
    this.#toBackfill.delete(name);
    this.#membership.noteVirtualSite(name, false);
  }

  /** One tick's share of the work; the rest waits for the next. */
  async step(world: World, nowMs: number): Promise<void> {
    await this.#voidOld(nowMs);
    for (let slice = 0; slice < SLICES_A_TICK && this.#membership.hasWork; slice++) {
      const rows = this.#membership.plan(world, nowMs, SLICE_EVALUATIONS);
      if (rows.length > 0) await this.#store.insert('membership', rows);
      for (const name of this.#membership.settle()) this.#toBackfill.set(name, nowMs);
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
    this.#gauge(this.#membership.openCount);
    this.#startBackfill(world, nowMs);
  }

  /** A name that was used before has intervals of its former life, which must not overlap those of this one. */
  async #voidOld(nowMs: number): Promise<void> {
    if (this.#toVoid.size === 0) return;
    const names = [...this.#toVoid];
    const old = await this.#store.query<{ virtual_site: string; site: string; from_ms: number }>(
      `SELECT virtual_site, site, toUnixTimestamp64Milli(from_at) AS from_ms FROM plumbline.membership FINAL
       WHERE virtual_site IN {names:Array(String)} AND to_at > from_at`,
      { names },
    );
    const version = this.#membership.nextVersion(nowMs);
    const rows = old.map(
      ({ virtual_site, site, from_ms }): MembershipRow => ({
        virtual_site,
        site,
        from_at: Number(from_ms),
        to_at: Number(from_ms),
        version,
      }),
    );
    await this.#store.insert('membership', rows);
    for (const name of names) this.#toVoid.delete(name);
  }

  #startBackfill(world: World, nowMs: number): void {
    if (this.#backfilling !== null) return;
    for (const [name, notBeforeMs] of this.#toBackfill) {
      const virtualSite = world.virtualSites.get(name);
      if (virtualSite === undefined) this.#toBackfill.delete(name);
      if (virtualSite === undefined || notBeforeMs > nowMs) continue;
      this.#backfilling = this.#backfillOne(name, virtualSite.metadata.createdAtMs, nowMs).finally(() => {
        this.#backfilling = null;
      });
      return;
    }
  }

  async #backfillOne(name: string, createdAtMs: number, nowMs: number): Promise<void> {
    this.#toBackfill.delete(name);
    try {
      await this.#backfill(name, nowMs);
      const marker = { virtual_site: name, site: '', from_at: 0, to_at: 0, version: createdAtMs };
      await this.#store.insert('membership', [marker]);
      this.#marked.set(name, createdAtMs);
      this.#logger.info({ virtualSite: name }, 'control.history_counted');
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      this.#logger.warn({ virtualSite: name, code: error.code }, 'control.history_failed');
      this.#toBackfill.set(name, nowMs + BACKFILL_RETRY_MS);
    }
  }

  /** Resolves when no history is being counted. */
  async idle(): Promise<void> {
    await this.#backfilling;
  }
}
