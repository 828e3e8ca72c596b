import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { ensureAuthority } from '../../adapters/tls/authority.ts';
import { findConnection } from '../../cli/connection.ts';
import { Refusal } from '../../cli/exit.ts';
import { runCli, scratchDir } from './run-cli.ts';
import { type StandInHub, startStandInHub, TOKEN } from './stand-in-hub.ts';

function hubFiles(files: Record<string, string>): string {
  const dir = scratchDir(onTestFinished);
  for (const [name, text] of Object.entries(files)) writeFileSync(join(dir, name), text);
  return dir;
}
const env = (dataDir: string) => ({ dataDir, color: false });

async function hubWithSites(tls?: { key: string; cert: string }): Promise<StandInHub> {
  const hub = await startStandInHub(tls);
  onTestFinished(() => hub.stop());
  hub.on('GET /api/v1/sites', () => ({ value: { items: hub.sites, next: null } }));
  return hub;
}

test('on its own machine a hub is found by the files it wrote', async () => {
  const hub = await hubWithSites();
  const dataDir = hubFiles({ 'hub.url': `${hub.url}\n`, 'admin.token': `${TOKEN}\n` });
  expect((await runCli(['get', 'sites'], { env: { dataDir } })).code).toBe(0);
});

test('a flag beats the environment, which beats the files', () => {
  const dataDir = hubFiles({ 'hub.url': 'http://127.0.0.1:1\n', 'admin.token': 'file\n' });
  const of = (flags: object, more: object = {}) => findConnection(flags, { ...env(dataDir), ...more });
  expect(of({}).url.port).toBe('1');
  expect(of({}, { url: 'http://127.0.0.1:2' }).url.port).toBe('2');
  expect(of({ url: 'http://127.0.0.1:3' }, { url: 'http://127.0.0.1:2' }).url.port).toBe('3');
  expect(of({}, { token: 'variable' }).token).toBe('variable');
  expect(of({ token: 'flag' }, { token: 'variable' }).token).toBe('flag');
  expect(of({}, { url: '', token: '' }).token).toBe('file');
});

test("this machine's admin token is never sent to another hub", () => {
  const dataDir = hubFiles({
    'hub.url': 'https://10.0.0.1:7117\n',
    'admin.token': 'secret\n',
    'hub.ca.pem': 'CA',
  });
  expect(() => findConnection({ url: 'https://elsewhere.example' }, env(dataDir))).toThrow(
    /No token for https:\/\/elsewhere/,
  );
  expect(findConnection({}, env(dataDir))).toMatchObject({ token: 'secret', ca: 'CA' });
  expect(findConnection({ url: 'https://10.0.0.1:7117/' }, env(dataDir))).toMatchObject({
    token: 'secret',
    ca: 'CA',
  });
  expect(findConnection({ url: 'https://elsewhere.example', token: 't' }, env(dataDir)).ca).toBeNull();
});

test('a token that is not known, and a selector too long for a request, are told in sentences', async () => {
  const hub = await hubWithSites();
  const get = (token: string, ...more: string[]) =>
    runCli(['get', 'sites', ...more], { env: { url: hub.url, token, dataDir: hubFiles({}) } });
  expect(await get('wrong')).toMatchObject({
    code: 1,
    err: 'The token is not known. Give a valid token with --token or PLUMBLINE_TOKEN. [unauthorized]\n',
  });
  const long = `env in (${Array.from({ length: 4000 }, (_, i) => `value-${i}`).join(',')})`;
  expect(await get(TOKEN, '-l', long)).toMatchObject({
    code: 1,
    err: 'The request is too long for the hub; give a shorter selector or name.\n',
  });
});

test.each([
  ['no hub is known', {}, {}, 3],
  ['an address that is none', { url: 'hub.example' }, {}, 2],
  ['no token', { url: 'http://127.0.0.1:9' }, {}, 2],
  ['a CA that is not there', { url: 'http://127.0.0.1:9', token: 't', ca: '/nowhere.pem' }, {}, 2],
])('%s is refused with its exit code', (_what, flags, more, exitCode) => {
  const dataDir = scratchDir(onTestFinished);
  try {
    findConnection(flags, { ...env(dataDir), ...more });
    expect.unreachable();
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    expect(error.exitCode).toBe(exitCode);
  }
});

test('over TLS the hub is known by its CA, and by nothing else', async () => {
  const dataDir = scratchDir(onTestFinished);
  const tlsDir = join(dataDir, 'tls');
  mkdirSync(tlsDir);
  const { key, cert, ca } = await ensureAuthority({ dir: tlsDir, hosts: ['127.0.0.1'] });
  const hub = await hubWithSites({ key, cert });
  const run = (more: readonly string[]) =>
    runCli(['get', 'sites', ...more], { env: { url: hub.url, token: TOKEN, dataDir } });

  const untrusted = await run([]);
  expect([untrusted.code, untrusted.out]).toEqual([3, '']);
  expect(untrusted.err).toContain(
    'its certificate is not trusted. Give its CA (hub.ca.pem in its data directory) with --ca',
  );

  writeFileSync(join(dataDir, 'named.pem'), ca);
  expect((await run(['--ca', join(dataDir, 'named.pem')])).code).toBe(0);
  writeFileSync(join(dataDir, 'hub.ca.pem'), ca);
  expect((await run([])).code).toBe(0);
  const top = await runCli(['top', '--once'], { env: { url: hub.url, token: TOKEN, dataDir } });
  expect(top.code).toBe(0);
});

test('a plain address where TLS is spoken says so', async () => {
  const dataDir = scratchDir(onTestFinished);
  const { key, cert } = await ensureAuthority({ dir: dataDir, hosts: ['127.0.0.1'] });
  const hub = await hubWithSites({ key, cert });
  const plain = hub.url.replace('https:', 'http:');
  const { code, err } = await runCli(['get', 'sites'], { env: { url: plain, token: TOKEN, dataDir } });
  expect(code).toBe(3);
  expect(err).toContain('Check http:// or https:// in --url.');
});
