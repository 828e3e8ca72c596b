import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { encodeJoinToken } from '../../core/join-token.ts';
import { plumbline } from '../parts/plumbline.ts';

const dir = mkdtempSync(join(tmpdir(), 'plumbline-config-'));
const file = (name: string, text: string) => {
  const path = join(dir, name);
  writeFileSync(path, text);
  return path;
};
mkdirSync(join(dir, 'a-folder'));
const prose = file('prose.pem', 'not a certificate\n');

const TOKEN = { v: 1, pin: null, site: 'tokyo', secret: 'a-secret-of-some-length' } as const;

type Case = [what: string, argv: string[], env: Record<string, string>, says: RegExp];
/** Each names the setting, where it came from, and the form it needs. */
const CASES: Case[] = [
  [
    'a bad duration in a flag',
    ['collector', '--interval', '10 seconds'],
    {},
    /--interval: "10 seconds" is not a duration as 250ms, 10s/,
  ],
  [
    'a bad duration in a variable',
    ['up'],
    { PLUMBLINE_LOG_RETENTION: 'forever' },
    /PLUMBLINE_LOG_RETENTION: "forever" is not a duration/,
  ],
  [
    'a bad size in a file',
    ['collector', '--config', file('size.yaml', 'spoolMaxSize: lots\n')],
    {},
    /size\.yaml, key "spoolMaxSize": "lots" is not a size as 64kB/,
  ],
  [
    'an interval out of bounds',
    ['up'],
    { PLUMBLINE_INTERVAL: '1ms' },
    /interval: a collector reports every 100 ms to 1 h/,
  ],
  [
    'a listen without a port',
    ['up', '--listen', '127.0.0.1'],
    {},
    /--listen: "127.0.0.1" is not host:port, as 127/,
  ],
  ['a port that is none', ['up', '--listen', ':70000'], {}, /--listen: ":70000" is not host:port/],
  ['a bad label', ['collector', '--labels', 'env=a b'], {}, /--labels: "env=a b" is not labels as env=test/],
  ['a bad site id', ['up', '--site', 'Tokyo 1'], {}, /--site: "Tokyo 1" is not lower case letters/],
  ['a bad flag value', ['up', '--local-site', 'maybe'], {}, /--local-site: "maybe" is not true or false/],
  [
    'a bad count',
    ['up'],
    { PLUMBLINE_PARTITIONS: '0' },
    /PLUMBLINE_PARTITIONS: "0" is not a whole number above 0/,
  ],
  [
    'a bad level',
    ['config'],
    { PLUMBLINE_LOG_LEVEL: 'loud' },
    /PLUMBLINE_LOG_LEVEL: "loud" is not debug, info/,
  ],
  [
    'a setting that is not one',
    ['up', '--config', file('unknown.yaml', 'intervall: 10s\n')],
    {},
    /unknown\.yaml: "intervall" is not a setting; `plumbline config` lists them/,
  ],
  [
    'a file that is not there',
    ['up', '--config', join(dir, 'none.yaml')],
    {},
    /--config: there is no file .*none/,
  ],
  ['a folder for a file', ['up', '--config', join(dir, 'a-folder')], {}, /a-folder: .*EISDIR/],
  [
    'a file that is no YAML',
    ['up', '--config', file('broken.yaml', 'a: [1,\nb: 2')],
    {},
    /broken\.yaml: .*line \d/,
  ],
  [
    'a file that is a list',
    ['up', '--config', file('list.yaml', '- 1\n')],
    {},
    /list\.yaml: .*"key: value" lines/,
  ],
  [
    'a link without a name',
    ['collector', '--config', file('link.yaml', 'links: [{url: "tcp://a:1"}]\n')],
    {},
    /link\.yaml: links\/0 .*name.*; a link is \{name: api, url:/,
  ],
  [
    'a link that takes the name of the hub',
    ['collector', '--config', file('hub.yaml', 'links: [{name: hub, url: "tcp://a:1"}]\n')],
    {},
    /hub\.yaml: links: the name "hub" is taken/,
  ],
  [
    'a flag that is not one',
    ['up', '--intervall', '10s'],
    {},
    /unknown option '--intervall'\n\(Did you mean --interval\?\)/,
  ],
  ['a command that is not one', ['upp'], {}, /unknown command 'upp'\n\(Did you mean up\?\)/],
  [
    'a public address that is none',
    ['up', '--listen', '127.0.0.1:0', '--public-url', 'hub.example:7117'],
    {},
    /--public-url: "hub\.example:7117" is not an address as https:\/\/hub\.example:7117/,
  ],
  [
    'a certificate without its key',
    ['up', '--listen', '127.0.0.1:0', '--tls-cert', prose],
    {},
    /tlsCert, tlsKey and tlsCa go together; tlsKey is missing/,
  ],
  [
    'a certificate that is none',
    ['up', '--listen', '127.0.0.1:0', '--tls-cert', prose, '--tls-key', prose, '--tls-ca', prose],
    {},
    /tlsCert: .*prose\.pem .*PEM/,
  ],
  [
    'a certificate that is not there',
    ['up', '--listen', '127.0.0.1:0', '--tls-cert', join(dir, 'none.pem')],
    {},
    /tlsCert: .*none\.pem/,
  ],
  [
    'a join token that is none',
    ['collector'],
    { PLUMBLINE_JOIN: 'hello' },
    /a join token begins with "plj1\."; copy it/,
  ],
  [
    'a join token cut short',
    ['collector'],
    { PLUMBLINE_JOIN: 'plj1.eyJ2IjoxLCJ1cmwiOi' },
    /the join token is damaged .*copy it whole, or make a new one with `plumbline site token NAME`/,
  ],
  [
    'a join token without a field',
    ['collector'],
    { PLUMBLINE_JOIN: `plj1.${Buffer.from('{"v":1}').toString('base64url')}` },
    /lacks a field; make a new one with `plumbline site token NAME`/,
  ],
  [
    'a join token without TLS to another machine',
    ['collector'],
    { PLUMBLINE_JOIN: encodeJoinToken({ ...TOKEN, url: 'http://192.0.2.1:7117' }) },
    /http:\/\/192\.0\.2\.1:7117 has no TLS, .*; give the hub a TLS listener \(insecure-url\)/,
  ],
  [
    'a join token with TLS but no pin',
    ['collector'],
    { PLUMBLINE_JOIN: encodeJoinToken({ ...TOKEN, url: 'https://192.0.2.1:7117' }) },
    /without the pin of its certificate; make a new token/,
  ],
  ['no join token', ['collector'], {}, /has not joined a hub: run `plumbline site add NAME` at the hub/],
  [
    'an address of a store that is none',
    ['up', '--clickhouse-url', 'store:8123'],
    {},
    /--clickhouse-url: "store:8123" is not/,
  ],
  [
    'a data directory of a collector that is a file',
    ['collector'],
    { PLUMBLINE_DATA_DIR: join(prose, 'below') },
    /dataDir: .*prose\.pem\/below can't be a folder here \(ENOTDIR\)/,
  ],
  [
    'a data directory that is a file',
    ['up', '--listen', '127.0.0.1:0'],
    { PLUMBLINE_DATA_DIR: prose },
    /dataDir: .*prose\.pem.*PLUMBLINE_DATA_DIR/,
  ],
];

describe('bad configuration', () => {
  afterAll(() => rmSync(dir, { recursive: true, force: true }));

  it.concurrent.each(CASES)('ends with exit code 2 and one message on %s', async (what, argv, env, says) => {
    const dataDir = join(dir, what.replaceAll(' ', '-'));
    const { code, said } = await plumbline(argv, { PLUMBLINE_DATA_DIR: dataDir, ...env });
    expect(said).toMatch(says);
    expect(code).toBe(2);
    expect(said, 'no stack').not.toMatch(/^\s+at /m);
  });
});
