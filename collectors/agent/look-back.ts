import { isIP } from 'node:net';
import Type, { type Static } from 'typebox';
import { Compile } from 'typebox/compile';
import type { ObservedFlow } from '../../core/ports/enforcer.ts';
import type { Place } from './permits.ts';
import type { Memory } from './state.ts';

const KEPT_AS = 'policy/look-back';
const MAX_PLACES = 4096;
const KEEP_MS = 7 * 24 * 3_600_000;
const SAVE_EVERY_MS = 60_000;

/** What only some policies let through while others would have held it back. */
const Exception = Type.Object({
  /** Of the others, by key. */
  holders: Type.Array(Type.String()),
  /** Names that the address had. */
  names: Type.Array(Type.String()),
});
export type Exception = Static<typeof Exception>;

const Seen = Type.Object({
  atMs: Type.Number(),
  /** When it was no exception. */
  anyhowMs: Type.Optional(Type.Number()),
  exception: Type.Optional(Exception),
});
type Seen = Static<typeof Seen>;

/** A number is when it was seen last, and that it was no exception. */
const Kept = Compile(Type.Record(Type.String(), Type.Union([Type.Number(), Seen])));

export type LookBack = {
  /**
   * Notes where workloads were let through, by flows whose count has risen. `holdersOf` gives the policies that would have
   * held one back but for others; null where nobody knows under which policies they were, so that what is known stays.
   */
  note(
    flows: readonly ObservedFlow[],
    nowMs: number,
    holdersOf: ((flow: ObservedFlow) => readonly string[]) | null,
  ): void;
  /** Forgets where a workload gets through no more on purpose; a place seen only by name has no address. */
  drop(isRemoved: (workload: string, place: Place, names: readonly string[]) => boolean): void;
  /** Forgets what was only ever let through by exceptions that are over. */
  dropExceptions(isOver: (workload: string, place: Place, exception: Exception) => boolean): void;
  /** Null where the workload was not let through; else whether that was only ever by exception. */
  of(workload: string, place: Place, nowMs: number): { exception: Exception | null } | null;
  /** Writes what is new; unless forced, once a minute at most. */
  save(nowMs: number, force?: boolean): void;
  /** Places that were forgotten early because there were too many. */
  evicted(): number;
};

/**
 * Where each workload was let through in the last week, at most 4096 places: what an unexpected deny is judged by. The
 * addresses of a name count as the name, so that a service that moves is not new.
 */
export function createLookBack(memory: Memory, namesOf: (address: string) => readonly string[]): LookBack {
  const seen = read(memory);
  const counts = new Map<string, number>();
  let savedAtMs = 0;
  let isDirty = false;
  let evicted = 0;

  const keysOf = (workload: string, { direction, address, port, protocol }: Place) =>
    [address, ...namesOf(address)].map((what) => `${workload} ${direction} ${protocol} ${port} ${what}`);

  function touch(key: string, one: Seen, nowMs: number): void {
    // Renewed ones go to the end, so that the first is the one that was not seen for longest.
    seen.delete(key);
    seen.set(key, one);
    isDirty = true;
    for (const [oldest, { atMs }] of seen) {
      if (seen.size <= MAX_PLACES && nowMs - atMs <= KEEP_MS) return;
      if (seen.size > MAX_PLACES) evicted += 1;
      seen.delete(oldest);
    }
  }

  return {
    note(flows, nowMs, holdersOf) {
      const present = new Set<string>();
      for (const flow of flows) {
        if (flow.verdict !== 'allowed') continue;
        const keys = keysOf(flow.workload, flow);
        const [id = ''] = keys;
        present.add(id);
        const before = counts.get(id);
        counts.set(id, flow.connections);
        if (before === flow.connections) continue;
        const how = { holders: holdersOf?.(flow) ?? null, names: [...namesOf(flow.address)] };
        for (const key of keys) touch(key, seenAgain(seen.get(key), how, nowMs), nowMs);
      }
      for (const id of counts.keys()) if (!present.has(id)) counts.delete(id);
    },
    drop(isRemoved) {
      for (const key of [...seen.keys()]) {
        const read = placeOf(key);
        if (read === null) continue;
        const { workload, place, name } = read;
        const names = name === null ? namesOf(place.address) : [name];
        if (!isRemoved(workload, place, names)) continue;
        for (const one of name === null ? keysOf(workload, place) : [key]) seen.delete(one);
        isDirty = true;
      }
    },
    dropExceptions(isOver) {
      for (const { key, workload, place, exception } of exceptionsIn(seen)) {
        if (isOver(workload, place, exception)) isDirty = seen.delete(key);
      }
    },
    of(workload, place, nowMs) {
      const fresh = keysOf(workload, place)
        .flatMap((key) => seen.get(key) ?? [])
        .filter(({ atMs }) => nowMs - atMs <= KEEP_MS);
      return fresh.length === 0 ? null : { exception: exceptionOfAll(fresh, nowMs) };
    },
    save(nowMs, force = false) {
      if (!isDirty || (!force && nowMs - savedAtMs < SAVE_EVERY_MS)) return;
      memory.keep(KEPT_AS, JSON.stringify(Object.fromEntries(asKept(seen))));
      savedAtMs = nowMs;
      isDirty = false;
    },
    evicted: () => evicted,
  };
}

type How = { holders: readonly string[] | null; names: string[] };

function seenAgain(before: Seen | undefined, { holders, names }: How, nowMs: number): Seen {
  const wasException = before?.exception !== undefined && before.anyhowMs === undefined;
  if (holders === null && wasException) return { ...before, atMs: nowMs };
  if (holders === null || holders.length === 0) return { atMs: nowMs, anyhowMs: nowMs };
  const exception = { holders: [...holders], names };
  return { atMs: nowMs, ...(before?.anyhowMs !== undefined && { anyhowMs: before.anyhowMs }), exception };
}

/** Null where it was none within the look-back. */
function exceptionOf({ atMs, anyhowMs, exception }: Seen, nowMs = atMs): Exception | null {
  const isAnyhow = anyhowMs !== undefined && nowMs - anyhowMs <= KEEP_MS;
  return isAnyhow ? null : (exception ?? null);
}

function exceptionsIn(seen: ReadonlyMap<string, Seen>) {
  return [...seen].flatMap(([key, one]) => {
    const exception = exceptionOf(one);
    const read = placeOf(key);
    return exception === null || read === null ? [] : [{ key, ...read, exception }];
  });
}

function exceptionOfAll(all: readonly Seen[], nowMs: number): Exception | null {
  const exceptions = all.flatMap((one) => exceptionOf(one, nowMs) ?? []);
  if (exceptions.length < all.length) return null;
  return {
    holders: exceptions.flatMap(({ holders }) => holders),
    names: exceptions.flatMap(({ names }) => names),
  };
}

/** What was noted; where that is a name, its address stands for none that a network has. */
function placeOf(key: string): { workload: string; place: Place; name: string | null } | null {
  const [what = '', port, protocol, direction, ...workload] = key.split(' ').reverse();
  if (direction !== 'egress' && direction !== 'ingress') return null;
  if (protocol !== 'TCP' && protocol !== 'UDP') return null;
  const name = isIP(what) === 0 ? what : null;
  const address = name === null ? what : '0.0.0.0';
  const place = { direction, protocol, port: Number(port), address } as const;
  return { workload: workload.reverse().join(' '), place, name };
}

function asKept(seen: ReadonlyMap<string, Seen>): [string, Seen | number][] {
  return [...seen].map(([key, one]) => [key, one.exception === undefined ? one.atMs : one]);
}

function read(memory: Memory): Map<string, Seen> {
  try {
    const value: unknown = JSON.parse(memory.kept(KEPT_AS) ?? '{}');
    if (!Kept.Check(value)) return new Map();
    const all = Object.entries(value).map(([key, one]): [string, Seen] => [
      key,
      typeof one === 'number' ? { atMs: one, anyhowMs: one } : one,
    ]);
    return new Map(all.sort(([, a], [, b]) => a.atMs - b.atMs));
  } catch {
    return new Map();
  }
}
