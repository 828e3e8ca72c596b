import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Table, TableView } from '../../core/ports/table.ts';
import { type Door, fieldOf, openDoor } from './door.ts';

const VIRTUAL_SITE = '/api/v1/policies/VirtualSite/prod';
const document = (selector: string, guard?: object) => ({
  apiVersion: 'plumbline.io/v1',
  kind: 'VirtualSite',
  metadata: { name: 'prod' },
  spec: { selector, ...(guard && { guard }) },
});

describe('changes that are meant for what was read', () => {
  let door: Door;
  beforeAll(async () => {
    door = await openDoor();
  });
  afterAll(() => door.close());

  const put = (selector: string, etag?: string) =>
    door.call('PUT', VIRTUAL_SITE, {
      body: document(selector),
      ...(etag !== undefined && { headers: { 'if-match': etag } }),
    });
  const etagOf = async (path: string) => (await door.call('GET', path)).headers.get('etag') ?? '';
  const remove = (path: string, etag: string) => door.call('DELETE', path, { headers: { 'if-match': etag } });

  test('of two administrators who read the same, one changes it and the other is told', async () => {
    const created = await put('env');
    const etag = await etagOf(VIRTUAL_SITE);
    expect(etag).toMatch(/^"1-.+"$/);
    expect(created.headers.get('etag')).toBe(etag);
    const answers = await Promise.all([put('mine', etag), put('yours', etag)]);
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 412]);
    const [winner, loser] = answers[0]?.status === 200 ? answers : answers.toReversed();
    expect(loser).toMatchObject({ status: 412, body: { code: 'revision-conflict' } });
    const second = await etagOf(VIRTUAL_SITE);
    expect(second).toBe(winner?.headers.get('etag'));
    const third = (await put('again', second)).headers.get('etag') ?? '';
    expect([second, third].map((one) => one.slice(2))).toEqual([etag.slice(2), etag.slice(2)]);
    expect((await remove(VIRTUAL_SITE, second)).status).toBe(412);
    expect((await remove(VIRTUAL_SITE, third)).status).toBe(200);
    expect(await put('later', third)).toMatchObject({ status: 412 });
  });

  test('what was read of one that was deleted says nothing of the next of its name', async () => {
    const path = '/api/v1/policies/VirtualSite/prod';
    await put('first');
    const etag = await etagOf(path);
    await door.call('DELETE', path);
    await put('second');
    expect(await etagOf(path)).toMatch(/^"1-/);
    expect(await put('third', etag)).toMatchObject({ status: 412, body: { code: 'revision-conflict' } });
    expect((await remove(path, etag)).status).toBe(412);
    expect((await remove(path, await etagOf(path))).status).toBe(200);
  });

  test('a site or a token that is another one by now is not deleted', async () => {
    const add = async (collection: string, body: object) =>
      (await door.call('POST', `/api/v1/${collection}`, { body })).headers.get('etag') ?? '';
    for (const [collection, body] of [
      ['sites', { name: 'passing' }],
      ['tokens', { name: 'passing', role: 'viewer' }],
    ] as const) {
      const path = `/api/v1/${collection}/passing`;
      const first = await add(collection, body);
      expect((await remove(path, first)).status).toBe(200);
      const second = await add(collection, body);
      expect(await remove(path, first)).toMatchObject({ status: 412, body: { code: 'revision-conflict' } });
      expect(await remove(path, '"1"')).toMatchObject({ status: 400 });
      expect((await remove(path, second)).status).toBe(200);
    }
  });

  test('an ETag that is none of the hub’s is refused', async () => {
    for (const etag of ['1-a', 'W/"1-a"', '"x"', '"0-a"', '"1"', '*', '"1-a", "2-a"'])
      expect(await put('env', etag)).toMatchObject({ status: 400, body: { code: 'bad-request' } });
  });

  test('labels have a revision, and two administrators who set different ones both get theirs', async () => {
    const site = '/api/v1/sites/labelled';
    await door.call('POST', '/api/v1/sites', { body: { name: 'labelled' } });
    const patch = (labels: object, headers: Record<string, string> = {}) =>
      door.call('PATCH', site, { body: { labels }, headers });
    const both = await Promise.all([patch({ a: '1' }), patch({ b: '2' })]);
    const [second = '', third = ''] = both.map(({ headers }) => headers.get('etag') ?? '').sort();
    expect([second.slice(0, 3), third.slice(0, 3)]).toEqual(['"2-', '"3-']);
    expect(await door.get(site)).toMatchObject({ site: { labels: { a: '1', b: '2' } } });
    expect(await etagOf(site)).toBe(third);
    expect((await patch({ c: '3' }, { 'if-match': second })).status).toBe(412);
    expect((await patch({ c: '3' }, { 'if-match': third })).headers.get('etag')).toMatch(/^"4-/);
    const gone = await door.call('PATCH', '/api/v1/sites/nobody', { body: { labels: { a: '1' } } });
    expect(gone).toMatchObject({ status: 404, body: { code: 'not-found' } });
  });
});

/** A table whose view of virtual sites stays at what it was when it was opened: at nothing. */
function behind(table: Table): Table {
  const blind = (view: TableView): TableView => ({
    get: (key) => (key.startsWith('VirtualSite/') ? undefined : view.get(key)),
    entries: () => view.entries(),
    get size() {
      return view.size;
    },
    onChange: (listener) => view.onChange(listener),
    close: () => view.close(),
  });
  return {
    start: () => table.start(),
    stop: () => table.stop(),
    claim: (role) => table.claim(role),
    write: (name, entries) => table.write(name, entries),
    view: async (name) => blind(await table.view(name)),
  };
}

test('an author can’t touch a guard that the api has not seen yet', async () => {
  const door = await openDoor({ wrapTable: behind });
  try {
    const made = await door.call('POST', '/api/v1/tokens', { body: { name: 'bob', role: 'author' } });
    const token = fieldOf(made.body, 'token');
    const guard = { approval: 'required' };
    const guarded = await door.call('PUT', VIRTUAL_SITE, { body: document('env', guard) });
    expect(guarded.body).toMatchObject({ effect: 'created' });
    expect((await door.call('GET', VIRTUAL_SITE)).status).toBe(404);
    expect(await door.call('PUT', VIRTUAL_SITE, { body: document('env'), token })).toMatchObject({
      status: 403,
      body: { code: 'forbidden', errors: [{ pointer: '/spec/guard' }] },
    });
    expect(await door.call('DELETE', VIRTUAL_SITE, { token })).toMatchObject({ status: 403 });
    const again = await door.call('PUT', VIRTUAL_SITE, { body: document('env', guard) });
    expect(again.body).toMatchObject({ effect: 'unchanged' });
  } finally {
    await door.close();
  }
});
