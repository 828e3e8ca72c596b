import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join as joinPath } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { join } from '../../../adapters/gateway/join.ts';
import { type Authority, ensureAuthority } from '../../../adapters/tls/authority.ts';
import { issueLeaf } from '../../../adapters/tls/issue.ts';
import { type HubSide, startHubSide } from './hub-side.ts';

const site = 'jp-tokyo-1';
const key = Buffer.alloc(32, 7);
const secret = 'sixteen-characters-at-least';
const joined = { site, keyEpoch: 1, key: key.toString('base64url'), hubTimeMs: 1234, bootsBefore: 4 };
let dir: string;
let ours: Authority;
let hubs: HubSide[];
let asked: unknown[];

beforeEach(async () => {
  dir = mkdtempSync(joinPath(tmpdir(), 'plumbline-join-'));
  ours = await ensureAuthority({ dir: joinPath(dir, 'ours'), hosts: ['hub.example'] });
  hubs = [];
  asked = [];
});
afterEach(async () => {
  for (const hub of hubs) await hub.stop();
  rmSync(dir, { recursive: true });
});

async function hubThat(answers: { status: number; body: unknown }, tls?: Authority): Promise<HubSide> {
  const onRequest = (request: IncomingMessage, response: ServerResponse): void => {
    let body = '';
    request.on('data', (chunk) => {
      body += chunk;
    });
    request.on('end', () => {
      asked.push({ method: request.method, url: request.url, body: JSON.parse(body) });
      response.writeHead(answers.status, { 'content-type': 'application/json' });
      response.end(typeof answers.body === 'string' ? answers.body : JSON.stringify(answers.body));
    });
  };
  const hub = await startHubSide({ key, site, onRequest, ...(tls && { tls }) });
  hubs.push(hub);
  return hub;
}

const token = (url: string, pin: string | null) => ({ v: 1 as const, url, pin, site, secret });

describe('joining', () => {
  it('exchanges the secret for the key over TLS whose authority has the pin', async () => {
    const hub = await hubThat({ status: 200, body: joined }, ours);
    const result = await join({ token: token(hub.url, ours.pin), instance: 'instance-1' });
    expect(result).toEqual({ ok: true, ...joined, ca: expect.any(String), url: hub.url });
    expect(result.ok && result.ca?.replaceAll(/\s/g, '')).toBe(ours.ca.replaceAll(/\s/g, ''));
    expect(asked).toEqual([
      { method: 'POST', url: '/api/v1/join', body: { site, secret, instance: 'instance-1' } },
    ]);
  });

  it('tells nothing to a hub with another authority', async () => {
    const other = await ensureAuthority({ dir: joinPath(dir, 'other'), hosts: ['127.0.0.1'] });
    const hub = await hubThat({ status: 200, body: joined }, other);
    expect(await join({ token: token(hub.url, ours.pin), instance: 'instance-1' })).toMatchObject({
      ok: false,
      code: 'wrong-pin',
      detail: expect.stringContaining('plumbline site token'),
    });
    expect(asked).toEqual([]);
  });

  it('is not taken in by a chain that only shows the pinned authority', async () => {
    const other = await ensureAuthority({ dir: joinPath(dir, 'other'), hosts: ['127.0.0.1'] });
    const leaf = other.cert.slice(0, other.cert.length - other.ca.length);
    const hub = await hubThat({ status: 200, body: joined }, { ...other, cert: leaf + ours.ca });
    expect(await join({ token: token(hub.url, ours.pin), instance: 'instance-1' })).toMatchObject({
      code: 'wrong-pin',
    });
    expect(asked).toEqual([]);
  });

  it('is not taken in by a certificate that names the pinned authority without its signature', async () => {
    await ensureAuthority({ dir: joinPath(dir, 'other'), hosts: ['127.0.0.1'] });
    const stranger = readFileSync(joinPath(dir, 'other', 'ca.key'), 'utf8');
    const forged = await issueLeaf({ cert: ours.ca, key: stranger }, ['127.0.0.1'], Date.now());
    const hub = await hubThat(
      { status: 200, body: joined },
      { ...ours, ...forged, cert: forged.cert + ours.ca },
    );
    expect(await join({ token: token(hub.url, ours.pin), instance: 'instance-1' })).toMatchObject({
      code: 'wrong-pin',
    });
    expect(asked).toEqual([]);
  });

  it('works without TLS on this machine only', async () => {
    const hub = await hubThat({ status: 200, body: joined });
    expect(await join({ token: token(hub.url, null), instance: 'instance-1' })).toMatchObject({
      ok: true,
      ca: null,
    });
    for (const url of ['http://10.0.0.1:7117', 'http://127.example.com', 'http://hub'])
      expect(await join({ token: token(url, null), instance: 'instance-1' })).toMatchObject({
        code: 'insecure-url',
      });
    expect(await join({ token: token('https://127.0.0.1:1', null), instance: 'instance-1' })).toMatchObject({
      code: 'insecure-url',
    });
  });

  it("gives the hub's own reason when it refuses", async () => {
    const refusal = { code: 'token-used', detail: 'it was used by another machine' };
    const hub = await hubThat({ status: 409, body: refusal });
    expect(await join({ token: token(hub.url, null), instance: 'instance-1' })).toEqual({
      ok: false,
      ...refusal,
    });
  });

  it.each([
    ['HTML', '<html>', 'bad-answer'],
    ['the key of another site', { ...joined, site: 'other' }, 'bad-answer'],
    ['a key that is too short', { ...joined, key: 'abc' }, 'bad-answer'],
    ['too much', 'x'.repeat(100_000), 'unreachable'],
  ])('is not confused by an answer of %s', async (_name, body, code) => {
    const hub = await hubThat({ status: 200, body });
    expect(await join({ token: token(hub.url, null), instance: 'instance-1' })).toMatchObject({
      ok: false,
      code,
    });
  });

  it('says when nobody is there', async () => {
    const hub = await hubThat({ status: 200, body: joined }, ours);
    await hub.stop();
    const result = await join({ token: token(hub.url, ours.pin), instance: 'instance-1' });
    expect(result).toMatchObject({ ok: false, code: 'unreachable' });
  });
});
