import { isDeepStrictEqual } from 'node:util';
import type { EventKind, FleetEvent } from '../core/model/event.ts';
import type { HubStatus } from '../core/model/resource.ts';
import type { ToldTrouble, Trouble } from '../core/model/trouble.ts';
import type { Store } from '../core/ports/store.ts';
import type { Claim } from './seen-versions.ts';
import { Untold } from './untold.ts';

export type Found = Omit<Trouble, 'sinceMs'>;

/** Sites whose claims are told, each once. */
const MOST_CLAIMING = 1_000;

const BEGINS: Record<Trouble['code'], EventKind | null> = {
  'read-only': 'policy.read-only',
  'key-distrusted': 'keys.distrusted',
  // Told of each site.
  'claim-implausible': null,
};
const ENDS: Record<Trouble['code'], { kind: EventKind; message: string } | null> = {
  'read-only': { kind: 'policy.read-only-over', message: 'policy can be changed again' },
  'key-distrusted': { kind: 'keys.trusted', message: 'every site believes what this hub signs again' },
  'claim-implausible': null,
};

/**
 * A trouble is over when it was not found for so long. One site that says now this and now that would else begin and end it
 * with every report.
 */
const OVER_AFTER_MS = 120_000;

/**
 * What is wrong with policy as a whole, since when, and the events of it: one when it begins, one when it is over. It stands
 * in the hub's status, so that the next owner neither tells it again nor forgets to tell its end.
 */
export class Troubles {
  readonly #untold: Untold;
  readonly #claiming = new Set<string>();
  #standing: readonly Trouble[];
  #told: readonly ToldTrouble[];
  #isChanged = false;

  constructor(store: Pick<Store, 'insert'>, before: Pick<HubStatus['spec'], 'troubles' | 'told'> = {}) {
    this.#untold = new Untold(store);
    this.#standing = before.troubles ?? [];
    this.#told =
      before.told ??
      this.#standing.map(({ code, severity, sinceMs }) => ({ code, severity, sinceMs, goneAtMs: null }));
  }

  /** What is found now. */
  get standing(): readonly Trouble[] {
    return this.#standing;
  }

  /** What was told and is not over. */
  get told(): readonly ToldTrouble[] {
    return this.#told;
  }

  /** What changes while the store has not taken the events before is found again once it has. */
  find(found: readonly Found[], claims: readonly Claim[], nowMs: number): void {
    if (!this.#untold.isEmpty) return;
    const before = new Map(this.#told.map((one) => [one.code, one]));
    const standing = found.map((one) => ({ ...one, sinceMs: before.get(one.code)?.sinceMs ?? nowMs }));
    const told = standing.map((one) => this.#tellOf(one, before.get(one.code), nowMs));
    for (const one of this.#told)
      if (!found.some(({ code }) => code === one.code)) told.push(...this.#tellGone(one, nowMs));
    for (const claim of claims) this.#name(claim, nowMs);
    if (isDeepStrictEqual([standing, told], [this.#standing, this.#told])) return;
    this.#standing = standing;
    this.#told = told;
    this.#isChanged = true;
  }

  /** Tells what is untold; true when the hub's status is to say something else from now on. Rejects when the store is away. */
  async tell(): Promise<boolean> {
    await this.#untold.tell();
    const isChanged = this.#isChanged;
    this.#isChanged = false;
    return isChanged;
  }

  /** One that only concerned some sites is told again when it concerns most, once. */
  #tellOf(trouble: Trouble, before: ToldTrouble | undefined, nowMs: number): ToldTrouble {
    const { code, severity, sinceMs } = trouble;
    const isWorse = before === undefined || (severity === 'critical' && before.severity === 'warning');
    if (isWorse) this.#begin(trouble, nowMs);
    return { code, severity: isWorse ? severity : before.severity, sinceMs, goneAtMs: null };
  }

  #tellGone(told: ToldTrouble, nowMs: number): ToldTrouble[] {
    const goneAtMs = told.goneAtMs ?? nowMs;
    if (nowMs - goneAtMs < OVER_AFTER_MS) return [{ ...told, goneAtMs }];
    this.#end(told, nowMs);
    return [];
  }

  #begin({ code, severity, sinceMs, detail, remedy }: Trouble, nowMs: number): void {
    const kind = BEGINS[code];
    if (kind !== null)
      this.#add({
        id: `${kind}/${sinceMs}/${severity}`,
        atMs: nowMs,
        kind,
        severity,
        site: '',
        message: `${detail}: ${remedy}`,
      });
  }

  #end({ code, sinceMs }: ToldTrouble, nowMs: number): void {
    const end = ENDS[code];
    if (end !== null)
      this.#add({ ...end, id: `${end.kind}/${sinceMs}`, atMs: nowMs, severity: 'info', site: '' });
  }

  #name({ site, what }: Claim, nowMs: number): void {
    if (this.#claiming.has(site) || this.#claiming.size >= MOST_CLAIMING) return;
    this.#claiming.add(site);
    const kind = 'site.implausible';
    const message = `it says that it has seen ${what}, which no hub can have said; it is not believed`;
    this.#add({ id: `${kind}/${site}/${nowMs}`, atMs: nowMs, kind, severity: 'warning', site, message });
  }

  #add(event: Omit<FleetEvent, 'virtualSite' | 'by'>): void {
    this.#untold.add({ ...event, virtualSite: '', by: '' });
  }
}
