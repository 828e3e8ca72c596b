import Type, { type Static } from 'typebox';
import { Compile } from 'typebox/compile';
import { Denied } from '../../core/model/policy-report.ts';
import { targetKey } from '../../core/model/signed.ts';
import type { Observed } from '../../core/ports/enforcer.ts';
import { isFull } from './remembered.ts';
import type { Chosen, Memory } from './state.ts';

const KEPT_AS = 'policy/evidence';
/** Denied destinations that are remembered a policy; a report has room for the first 16. */
const MAX_DENIED = 256;

const Count = Type.Integer({ minimum: 0 });
const Moment = Type.Union([Type.Integer(), Type.Null()]);

const DeniedPlace = Type.Object({
  ...Denied.properties,
  /** The dataplane's own figure when it was last read: it begins again with every change. */
  raw: Count,
});
export type DeniedPlace = Static<typeof DeniedPlace>;

/** What happened to one generation of a policy in one mode. */
const Standing = Type.Object({
  key: Type.String(),
  generation: Count,
  digest: Type.String(),
  mode: Type.String(),
  appliedAtMs: Moment,
  confirmedAtMs: Moment,
  firstHitAtMs: Moment,
  counterEpoch: Count,
  counters: Type.Record(Type.String(), Count),
  denied: Type.Array(DeniedPlace),
});
export type Standing = Static<typeof Standing>;

const validator = Compile(Type.Array(Standing));

export type ObservedPolicy = Observed['policies'][number];

/** Figures of the policies in force, over restarts of this process. */
export class Evidence {
  readonly #memory: Memory;
  #standings: Map<string, Standing>;
  #saved = '';

  constructor(memory: Memory) {
    this.#memory = memory;
    this.#standings = new Map(read(memory).map((standing) => [standing.key, standing]));
  }

  /** Null unless it is of this very generation and mode. */
  of(policy: Chosen): Standing | null {
    const standing = this.#standings.get(targetKey(policy.kind, policy.name));
    if (standing?.generation !== policy.generation || standing.digest !== policy.digest) return null;
    return standing.mode === policy.mode ? standing : null;
  }

  /** From now on these are in force; figures of others begin anew. */
  applied(policies: readonly Chosen[], nowMs: number): void {
    this.#standings = new Map(
      policies.map((policy) => [
        targetKey(policy.kind, policy.name),
        this.of(policy) ?? fresh(policy, nowMs),
      ]),
    );
    this.#saveIfRoom();
  }

  confirmed(policies: readonly Chosen[], nowMs: number): void {
    for (const policy of policies) {
      const standing = this.of(policy);
      if (standing !== null) standing.confirmedAtMs ??= nowMs;
    }
    this.#saveIfRoom();
  }

  /** A counter that is smaller than before, though the generation is the same, began again at zero. */
  count(policy: Chosen, seen: ObservedPolicy, nowMs: number): void {
    const standing = this.of(policy);
    if (standing === null || seen.generation !== policy.generation) return;
    const counters = flat(seen);
    const fell = Object.entries(standing.counters).some(([name, count]) => (counters[name] ?? 0) < count);
    if (fell) standing.counterEpoch += 1;
    standing.counters = counters;
    if (seen.rules.some(({ hits }) => hits > 0)) standing.firstHitAtMs ??= nowMs;
  }

  /** What was noted last of each place, by `placeId`; a place that only a probe was denied at is asked about again. */
  noted(policy: Chosen): Map<string, number> {
    const denied = this.of(policy)?.denied ?? [];
    return new Map(denied.map((place) => [placeId(place), place.kind === 'probe' ? -1 : place.raw]));
  }

  /** Adds what was denied since the last reading. `kindOf` is asked once a place, when it is first seen. */
  deny(
    policy: Chosen,
    places: readonly Omit<DeniedPlace, 'kind' | 'raw'>[],
    kindOf: (place: Omit<DeniedPlace, 'kind' | 'raw'>) => DeniedPlace['kind'],
  ): void {
    const standing = this.of(policy);
    if (standing === null || places.length === 0) return;
    const known = new Map(standing.denied.map((place) => [placeId(place), place]));
    for (const { count, ...place } of places) {
      const held = known.get(placeId(place));
      if (held === undefined) {
        const kind = kindOf({ ...place, count });
        if (known.size >= MAX_DENIED && !makeRoom(known, kind)) continue;
        known.set(placeId(place), { ...place, count, raw: count, kind });
      } else {
        held.count += count >= held.raw ? count - held.raw : count;
        held.raw = count;
        // A probe that came first does not hide the workload's own attempts.
        if (held.kind === 'probe') held.kind = kindOf({ ...place, count });
      }
    }
    standing.denied = [...known.values()];
  }

  /** A full disk keeps nobody from changing the dataplane; it is saved with what is counted next. */
  #saveIfRoom(): void {
    try {
      this.save();
    } catch (error) {
      if (!isFull(error)) throw error;
    }
  }

  save(): void {
    const text = JSON.stringify([...this.#standings.values()]);
    if (text === this.#saved) return;
    this.#memory.keep(KEPT_AS, text);
    this.#saved = text;
  }
}

function fresh({ kind, name, generation, digest, mode }: Chosen, nowMs: number): Standing {
  return {
    key: targetKey(kind, name),
    generation,
    digest,
    mode,
    appliedAtMs: nowMs,
    confirmedAtMs: null,
    firstHitAtMs: null,
    counterEpoch: 0,
    counters: {},
    denied: [],
  };
}

function flat({ rules, denies, probeDenies }: ObservedPolicy): Record<string, number> {
  const entries = rules.flatMap(({ rule, hits, probeHits }) => [
    [`hits ${rule}`, hits] as const,
    [`probes ${rule}`, probeHits] as const,
  ]);
  return Object.fromEntries([...entries, ['denies', denies], ['probe-denies', probeDenies]]);
}

/** However many places are new, one where the workload used to get through is never left out for them. */
function makeRoom(known: Map<string, DeniedPlace>, kind: DeniedPlace['kind']): boolean {
  if (kind !== 'unexpected') return false;
  const least = [...known].find(([, place]) => place.kind !== 'unexpected');
  return least !== undefined && known.delete(least[0]);
}

export function placeId(
  place: Pick<Denied, 'workload' | 'direction' | 'protocol' | 'port' | 'address'>,
): string {
  return `${place.workload} ${place.direction} ${place.protocol} ${place.port} ${place.address}`;
}

function read(memory: Memory): Standing[] {
  try {
    const value: unknown = JSON.parse(memory.kept(KEPT_AS) ?? '[]');
    return validator.Check(value) ? value : [];
  } catch {
    return [];
  }
}
