import { isIP } from 'node:net';
import Type from 'typebox';
import { Compile } from 'typebox/compile';
import type { ObservedFlow } from '../../core/ports/enforcer.ts';
import type { Place } from './permits.ts';
import type { Memory } from './state.ts';

const KEPT_AS = 'policy/look-back';
const MAX_PLACES = 4096;
const KEEP_MS = 7 * 24 * 3_600_000;
const SAVE_EVERY_MS = 60_000;

const Kept = Compile(Type.Record(Type.String(), Type.Number()));

export type LookBack = {
  /** Notes where workloads were let through, by flows whose count has risen. */
  note(flows: readonly ObservedFlow[], nowMs: number): void;
  /** Forgets where a workload gets through no more on purpose; a place seen only by name has no address. */
  drop(isRemoved: (workload: string, place: Place, names: readonly string[]) => boolean): void;
  has(workload: string, place: Place, nowMs: number): boolean;
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

  function touch(key: string, nowMs: number): void {
    // Renewed ones go to the end, so that the first is the one that was not seen for longest.
    seen.delete(key);
    seen.set(key, nowMs);
    isDirty = true;
    for (const [oldest, atMs] of seen) {
      if (seen.size <= MAX_PLACES && nowMs - atMs <= KEEP_MS) return;
      if (seen.size > MAX_PLACES) evicted += 1;
      seen.delete(oldest);
    }
  }

  return {
    note(flows, nowMs) {
      const present = new Set<string>();
      for (const flow of flows) {
        if (flow.verdict !== 'allowed') continue;
        const keys = keysOf(flow.workload, flow);
        const [id = ''] = keys;
        present.add(id);
        const before = counts.get(id);
        counts.set(id, flow.connections);
        if (before !== flow.connections) for (const key of keys) touch(key, nowMs);
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
    has: (workload, place, nowMs) =>
      keysOf(workload, place).some((key) => nowMs - (seen.get(key) ?? Number.NEGATIVE_INFINITY) <= KEEP_MS),
    save(nowMs, force = false) {
      if (!isDirty || (!force && nowMs - savedAtMs < SAVE_EVERY_MS)) return;
      memory.keep(KEPT_AS, JSON.stringify(Object.fromEntries(seen)));
      savedAtMs = nowMs;
      isDirty = false;
    },
    evicted: () => evicted,
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

function read(memory: Memory): Map<string, number> {
  try {
    const value: unknown = JSON.parse(memory.kept(KEPT_AS) ?? '{}');
    return new Map(Kept.Check(value) ? Object.entries(value).sort(([, a], [, b]) => a - b) : []);
  } catch {
    return new Map();
  }
}
