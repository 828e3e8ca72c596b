import { expect, onTestFinished, test } from 'vitest';
import { runCli, scratchDir } from './run-cli.ts';
import { startStandInHub, TOKEN } from './stand-in-hub.ts';

async function withHub() {
  const hub = await startStandInHub();
  onTestFinished(() => hub.stop());
  const env = { url: hub.url, token: TOKEN, dataDir: scratchDir(onTestFinished) };
  return { hub, cli: (line: string) => runCli(line.split(' '), { env }) };
}

test('of several to delete each is tried, and one that is refused is exit code 1', async () => {
  const { hub, cli } = await withHub();
  const deleted = () => ({ value: { effect: 'deleted', kind: 'x', name: 'y' } });
  for (const name of ['a', 'c']) hub.on(`DELETE /api/v1/sites/${name}`, deleted);
  expect(await cli('delete Site/a Site/b Site/c')).toEqual({
    code: 1,
    out: 'Site/a deleted\nSite/c deleted\n',
    err: 'Site/b: No /api/v1/sites/b [not-found]\n1 of 3 could not be deleted.\n',
  });
  expect(await cli('delete Site/b')).toEqual({
    code: 1,
    out: '',
    err: 'No /api/v1/sites/b [not-found]\n',
  });
});

test('sites are removed by a selector only when that is confirmed', async () => {
  const { hub, cli } = await withHub();
  const some = hub.sites.slice(0, 5);
  hub.on('GET /api/v1/sites', () => ({ value: { items: some, next: null } }));
  for (const { id } of some)
    hub.on(`DELETE /api/v1/sites/${id}`, () => ({ value: { effect: 'deleted', kind: 'Site', name: id } }));
  const asked = await cli('site remove -l simulated');
  expect([asked.code, asked.out]).toEqual([2, '']);
  expect(asked.err).toContain('5 sites match (');
  expect(hub.asked.map(({ method, query }) => [method, query])).toEqual([['GET', { selector: 'simulated' }]]);
  const { code, out } = await cli('site remove -l simulated --yes');
  expect([code, out.trimEnd().split('\n').sort()]).toEqual([
    0,
    some.map(({ id }) => `Site/${id} deleted`).sort(),
  ]);
});

test.each(['site remove', 'site remove a -l b', 'site remove -l '])('"%s" is a usage error', async (line) => {
  const { hub, cli } = await withHub();
  expect(await cli(line)).toMatchObject({
    code: 2,
    err: 'Give the name of one site, or a selector with -l.\n',
  });
  expect(hub.asked).toEqual([]);
});
