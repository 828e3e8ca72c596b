import { isDeepStrictEqual } from 'node:util';
import type { EventKind, FleetEvent } from '../core/model/event.ts';
import type { Trouble } from '../core/model/trouble.ts';
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
 * What is wrong with policy as a whole, since when, and the events of it: one when it begins, one when it is over. It stands
 * in the hub's status, so that the next owner neither tells it again nor forgets to tell its end.
 */
export class Troubles {
  readonly #untold: Untold;
  readonly #claiming = new Set<string>();
  #standing: readonly Trouble[];
  #isChanged = false;

  constructor(store: Pick<Store, 'insert'>, before: readonly Trouble[]) {
    this.#untold = new Untold(store);
    this.#standing = before;
  }

  get standing(): readonly Trouble[] {
    return this.#standing;
  }

  /** What changes while the store has not taken the events before is found again once it has. */
  find(found: readonly Found[], claims: readonly Claim[], nowMs: number): void {
    if (!this.#untold.isEmpty) return;
    const before = new Map(this.#standing.map((one) => [one.code, one]));
    const standing = found.map((one) => ({ ...one, sinceMs: before.get(one.code)?.sinceMs ?? nowMs }));
    for (const one of standing) if (isWorse(one, before.get(one.code))) this.#begin(one, nowMs);
    for (const one of this.#standing) if (!found.some(({ code }) => code === one.code)) this.#end(one, nowMs);
    for (const claim of claims) this.#name(claim, nowMs);
    if (isDeepStrictEqual(standing, this.#standing)) return;
    this.#standing = standing;
    this.#isChanged = true;
  }

  /** Tells what is untold; true when the hub's status is to say something else from now on. Rejects when the store is away. */
  async tell(): Promise<boolean> {
    await this.#untold.tell();
    const isChanged = this.#isChanged;
    this.#isChanged = false;
    return isChanged;
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

  #end({ code, sinceMs }: Trouble, nowMs: number): void {
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

/** One that only concerned some sites is told again when it concerns most. */
function isWorse({ severity }: Trouble, before: Trouble | undefined): boolean {
  return before === undefined || (severity === 'critical' && before.severity === 'warning');
}
