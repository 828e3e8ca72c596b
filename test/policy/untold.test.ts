import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { FleetEvent } from '../../core/model/event.ts';
import { type Store, StoreError } from '../../core/ports/store.ts';
import { Untold } from '../../policy/untold.ts';

const event = (id: string): FleetEvent => ({
  id,
  atMs: 1,
  kind: 'rollout.paused',
  severity: 'info',
  site: '',
  virtualSite: '',
  by: '',
  message: '',
});

/** What the store does with each insert: takes it, takes it without saying so, or takes nothing. */
const ANSWERS = ['confirms', 'keeps it and fails', 'fails'] as const;
type Answer = (typeof ANSWERS)[number];

/** A store that keeps one row of the same id, as the real one does, and gives its answers in turn. */
function storeOf(answers: Answer[]) {
  const inserts: string[][] = [];
  const kept = new Set<string>();
  let running = 0;
  const insert: Store['insert'] = async (_table, rows) => {
    if (running++ > 0) throw new Error('two at a time');
    await Promise.resolve();
    running--;
    const ids = rows.map((row) => ('id' in row ? String(row.id) : ''));
    const answer = answers.shift() ?? 'confirms';
    inserts.push(ids);
    if (answer !== 'fails') for (const id of ids) kept.add(id);
    if (answer !== 'confirms') throw new StoreError('unavailable', 'it may be there');
  };
  return { insert, inserts, kept };
}

describe('events that are untold', () => {
  it('are all told in their order, each once, whatever the store says, and also while others tell', async () => {
    const deed = fc.oneof(fc.constant('tell'), fc.constant('tell twice'), fc.nat({ max: 3 }));
    await fc.assert(
      fc.asyncProperty(
        fc.array(deed, { maxLength: 20 }),
        fc.array(fc.constantFrom(...ANSWERS)),
        async (deeds, answers) => {
          const store = storeOf([...answers]);
          const untold = new Untold(store);
          const added: string[] = [];
          const tellings: Promise<unknown>[] = [];
          for (const one of deeds) {
            if (typeof one === 'number') {
              const events = Array.from({ length: one }, (_, i) => event(`${added.length + i}`));
              added.push(...events.map(({ id }) => id));
              untold.add(...events);
              continue;
            }
            tellings.push(untold.tell().catch(() => {}));
            if (one === 'tell twice') tellings.push(untold.tell().catch(() => {}));
            else await Promise.all(tellings);
          }
          await Promise.all(tellings);
          while (!untold.isEmpty) await untold.tell().catch(() => {});
          expect([...store.kept]).toEqual(added);
        },
      ),
    );
  });

  it('that the store confirmed are not told again; those that it did not are, as they were', async () => {
    const store = storeOf(['confirms', 'keeps it and fails', 'fails', 'confirms']);
    const untold = new Untold(store);
    untold.add(event('a'), event('b'));
    await untold.tell();
    untold.add(event('c'));
    await expect(untold.tell()).rejects.toThrow(StoreError);
    await expect(untold.tell()).rejects.toThrow(StoreError);
    expect(untold.isEmpty).toBe(false);
    untold.add(event('d'));
    await untold.tell();
    expect(store.inserts).toEqual([['a', 'b'], ['c'], ['c'], ['c', 'd']]);
    await untold.tell();
    expect(store.inserts).toHaveLength(4);
  });

  it('are told by who added them, also when somebody is telling already', async () => {
    const store = storeOf([]);
    const untold = new Untold(store);
    untold.add(event('a'));
    const first = untold.tell();
    untold.add(event('b'));
    await untold.tell();
    expect([...store.kept]).toEqual(['a', 'b']);
    await first;
  });
});
