import { expect, onTestFinished, test } from 'vitest';
import { runCli, scratchDir } from './run-cli.ts';
import { startStandInHub, TOKEN } from './stand-in-hub.ts';

test('what failed is asked to be tried again only when that is said', async () => {
  const hub = await startStandInHub();
  onTestFinished(() => hub.stop());
  const env = { url: hub.url, token: TOKEN, dataDir: scratchDir(onTestFinished) };
  const input =
    'apiVersion: plumbline.io/v1\nkind: VirtualSite\nmetadata: {name: a}\nspec: {selector: env=a}\n';
  hub.on('PUT /api/v1/policies/VirtualSite/a', () => ({
    value: { effect: 'updated', kind: 'VirtualSite', name: 'a' },
  }));
  for (const line of ['apply -f -', 'apply -f - --retry'])
    expect(await runCli(line.split(' '), { env, input })).toMatchObject({ code: 0 });
  expect(hub.asked.map(({ query }) => query)).toEqual([{}, { retry: 'true' }]);
});
