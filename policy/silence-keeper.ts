import type { Hearing } from '../core/freshness.ts';
import type { Site } from '../core/model/resource.ts';
import type { SiteState } from '../core/model/site-state.ts';
import type { Store } from '../core/ports/store.ts';
import { type Silence, silenceNews } from './silence.ts';
import { Untold } from './untold.ts';

/** Tells each silence and its end once, also when the store does not say whether it has what it was given. */
export class SilenceKeeper {
  readonly #store: Store;
  readonly #told = new Map<string, Silence>();
  /** At most two events a site. */
  readonly #untold: Untold;

  constructor(store: Store) {
    this.#store = store;
    this.#untold = new Untold(store);
  }

  /** Sites whose silence was told and lasts. */
  get lasting(): number {
    let count = 0;
    for (const { isOver } of this.#told.values()) if (!isOver) count++;
    return count;
  }

  /** Reads the newest silence of each site, and whether its end was told: also what an owner before never knew it had told. */
  async restore(): Promise<void> {
    const rows = await this.#store.query<{ site: string; episode: number; told_ms: number; ends: number }>(
      `SELECT site, toInt64OrZero(splitByChar('/', id)[-1]) AS episode,
         maxIf(toUnixTimestamp64Milli(at), kind = 'site.silent') AS told_ms, countIf(kind = 'site.recovered') AS ends
       FROM plumbline.event WHERE kind IN ('site.silent', 'site.recovered')
       GROUP BY site, episode ORDER BY episode DESC LIMIT 1 BY site`,
    );
    for (const { site, episode, told_ms, ends } of rows)
      this.#told.set(site, { episode, toldAtMs: told_ms, isOver: ends > 0 });
  }

  /** Rejects when the store did not confirm the news, which are told again, unchanged, with the next step. */
  async step(
    sites: ReadonlyMap<string, Site>,
    states: ReadonlyMap<string, SiteState>,
    hearing: Hearing,
    nowMs: number,
  ): Promise<void> {
    this.#forget(sites);
    if (this.#untold.isEmpty)
      for (const { event, site, newest } of silenceNews(sites.values(), states, this.#told, hearing, nowMs)) {
        this.#untold.add(event);
        this.#told.set(site, newest);
      }
    await this.#untold.tell();
  }

  /** The silence of a site that was removed is over with it, and not that of one that has its name now. */
  #forget(sites: ReadonlyMap<string, Site>): void {
    for (const [name, { episode }] of this.#told) {
      const site = sites.get(name);
      if (site === undefined || episode < site.metadata.createdAtMs) this.#told.delete(name);
    }
  }
}
