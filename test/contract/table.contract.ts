import { describe, expect, test } from 'vitest';
import { MAX_RECORD_BYTES } from '../../core/ports/log.ts';
import { TableError } from '../../core/ports/table.ts';
import { until } from '../parts/process.ts';
import { entry, type OpenTable, shown, untilShown, withTable } from './table-world.ts';

/** What every adapter of `Table` must do, run on a real part. */
export function tableContract(name: string, open: OpenTable): void {
  describe(`${name}: the contract of Table`, () => {
    viewCases(open);
    ownerCases(open);
    lifeCases(open);
  });
}

function viewCases(open: OpenTable): void {
  test('a view has everything written before it was opened, the last value of each key, and follows changes', () =>
    withTable(open, async (table) => {
      for (let round = 0; round < 5; round++) {
        const round100 = Array.from({ length: 100 }, (_, i) => entry(`k${i}`, `${round}.${i}`));
        await table.write('state', round100);
      }
      await table.write('state', [entry('k7', null), entry('k8', null), entry('k8', 'again')]);
      const view = await table.view('state');
      expect(view.size).toBe(99);
      expect(view.get('k7')).toBeUndefined();
      expect(shown(view)).toMatchObject({ k0: '4.0', k8: 'again', k99: '4.99' });
      await table.write('state', [entry('k0', 'new'), entry('k1', null)]);
      await untilShown(view, 'k0', 'new');
      await untilShown(view, 'k1', undefined);
      expect(view.size).toBe(98);
      const later = await table.view('state');
      expect(shown(later)).toEqual(shown(view));
    }));

  test('a view of many megabytes is whole when it is given', () =>
    withTable(open, async (table) => {
      const value = new Uint8Array(100_000);
      for (let i = 0; i < 60; i += 10) {
        await table.write(
          'state',
          Array.from({ length: 10 }, (_, k) => ({ key: `k${i + k}`, value })),
        );
      }
      expect((await table.view('state')).size).toBe(60);
    }));

  test('listeners hear the changed keys after the map has changed, until they are taken away', () =>
    withTable(open, async (table) => {
      const view = await table.view('state');
      const heard: string[] = [];
      const forget = view.onChange((keys) => {
        for (const key of keys) heard.push(`${key}=${shown(view)[key] ?? 'gone'}`);
      });
      await table.write('state', [entry('a', '1'), entry('b', '1')]);
      await until('both are heard', () => heard.length >= 2);
      await table.write('state', [entry('a', null)]);
      await until('the deletion is heard', () => heard.includes('a=gone'));
      forget();
      await table.write('state', [entry('c', '1')]);
      await untilShown(view, 'c', '1');
      expect(heard.sort()).toEqual(['a=1', 'a=gone', 'b=1']);
    }));

  test('a view never goes back to an older value, however fast they are written', () =>
    withTable(open, async (table) => {
      const view = await table.view('state');
      const seen: number[] = [];
      view.onChange(() => seen.push(Number(shown(view).n)));
      await Promise.all(Array.from({ length: 200 }, (_, i) => table.write('state', [entry('n', String(i))])));
      await untilShown(view, 'n', '199');
      expect(seen).toEqual([...seen].sort((a, b) => a - b));
    }));

  test('tables do not mix, and a closed view stays as it was', () =>
    withTable(open, async (table) => {
      const owner = await table.claim('control');
      await owner.write('resources', [entry('a', 'resource')]);
      await table.write('state', [entry('a', 'state')]);
      const [resources, state] = await Promise.all([table.view('resources'), table.view('state')]);
      expect([shown(resources), shown(state)]).toEqual([{ a: 'resource' }, { a: 'state' }]);
      await state.close();
      await state.close();
      await table.write('state', [entry('a', 'later')]);
      await untilShown(await table.view('state'), 'a', 'later');
      expect(shown(state)).toEqual({ a: 'state' });
    }));

  test('entries are there after the process that wrote them has ended', () =>
    withTable(open, async (table, { reopen }) => {
      const owner = await table.claim('control');
      await owner.write('resources', [entry('kept', '1'), entry('gone', '1')]);
      await owner.write('resources', [entry('gone', null)]);
      const again = await reopen();
      expect(shown(await again.view('resources'))).toEqual({ kept: '1' });
    }));

  test('a value over the limit is refused, and nothing of its call is written', () =>
    withTable(open, async (table) => {
      const over = { key: 'b', value: new Uint8Array(MAX_RECORD_BYTES + 1) };
      const owner = await table.claim('control');
      await expect(table.write('state', [entry('a', 'x'), over])).rejects.toMatchObject({
        code: 'too-large',
      });
      await expect(owner.write('resources', [over])).rejects.toBeInstanceOf(TableError);
      await owner.write('resources', [{ key: 'b', value: new Uint8Array(MAX_RECORD_BYTES) }]);
      expect((await table.view('state')).size).toBe(0);
      expect((await table.view('resources')).get('b')?.byteLength).toBe(MAX_RECORD_BYTES);
    }));
}

function ownerCases(open: OpenTable): void {
  test('a claim makes every earlier owner powerless: what it writes is refused and never seen', () =>
    withTable(open, async (table) => {
      const old = await table.claim('control');
      await old.write('resources', [entry('a', 'old')]);
      const current = await table.claim('control');
      await expect(old.write('resources', [entry('a', 'stale')])).rejects.toMatchObject({ code: 'fenced' });
      await expect(old.write('resources', [entry('b', 'stale')])).rejects.toMatchObject({ code: 'fenced' });
      await current.write('resources', [entry('c', 'current')]);
      expect(shown(await table.view('resources'))).toEqual({ a: 'old', c: 'current' });
    }));

  test('a write under way while another one claims is either done before, or refused and never seen', () =>
    withTable(open, async (table) => {
      const view = await table.view('resources');
      const old = await table.claim('control');
      const outcomes = Array.from({ length: 30 }, (_, i) =>
        old.write('resources', [entry(`w${i}`, 'old')]).then(
          () => ({ key: `w${i}`, code: 'done' }),
          (error: unknown) => ({
            key: `w${i}`,
            code: error instanceof TableError ? error.code : String(error),
          }),
        ),
      );
      await outcomes[3];
      const current = await table.claim('control');
      await current.write('resources', [entry('after', 'claimed')]);
      const settled = await Promise.all(outcomes);
      await untilShown(view, 'after', 'claimed');
      const done = settled.filter(({ code }) => code === 'done').map(({ key }) => key);
      for (const { code } of settled) expect(['done', 'fenced']).toContain(code);
      expect(done.length).toBeGreaterThan(3);
      expect(Object.keys(shown(view)).sort()).toEqual([...done, 'after'].sort());
    }));

  test('letting go does not fence the one who comes after, and cannot be taken back', () =>
    withTable(open, async (table) => {
      const first = await table.claim('control');
      const second = await table.claim('control');
      await first.release();
      await first.release();
      await second.write('resources', [entry('a', '1')]);
      await second.release();
      await expect(second.write('resources', [entry('a', '2')])).rejects.toMatchObject({ code: 'closed' });
      expect(shown(await table.view('resources'))).toEqual({ a: '1' });
    }));

  test('writing a table without an owner takes none of the owner away', () =>
    withTable(open, async (table) => {
      const owner = await table.claim('control');
      await Promise.all([
        table.write('state', [entry('a', '1')]),
        owner.write('resources', [entry('a', '1')]),
        table.write('state', [entry('b', '1')]),
      ]);
      expect(shown(await table.view('state'))).toEqual({ a: '1', b: '1' });
    }));
}

function lifeCases(open: OpenTable): void {
  test('starting and stopping twice is like once; afterwards everything is closed', () =>
    withTable(open, async (table) => {
      await table.start();
      const owner = await table.claim('control');
      const view = await table.view('state');
      await table.stop();
      await table.stop();
      await view.close();
      const closed = { code: 'closed' };
      await expect(table.write('state', [entry('a', '1')])).rejects.toMatchObject(closed);
      await expect(table.view('state')).rejects.toMatchObject(closed);
      await expect(table.claim('control')).rejects.toMatchObject(closed);
      await expect(owner.write('resources', [entry('a', '1')])).rejects.toMatchObject(closed);
    }));
}
