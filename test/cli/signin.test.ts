import { expect, onTestFinished, test } from 'vitest';
import { runCli, scratchDir } from './run-cli.ts';
import { startStandInHub, TOKEN } from './stand-in-hub.ts';

test('signin prints a link that signs in once, and nothing else on standard output', async () => {
  const hub = await startStandInHub();
  onTestFinished(() => hub.stop());
  const url = 'http://127.0.0.1:7117/signin#abc';
  hub.on('POST /api/v1/session/link', () => ({ value: { url, expiresAtMs: 1 } }));
  const env = { url: hub.url, token: TOKEN, dataDir: scratchDir(onTestFinished) };
  expect(await runCli(['signin'], { env })).toEqual({
    code: 0,
    out: `${url}\n`,
    err: 'It signs you in once; it is good for 10 minutes.\n',
  });
});
