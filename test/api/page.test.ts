import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ensureAuthority } from '../../adapters/tls/authority.ts';
import { until } from '../parts/process.ts';
import { type Door, fieldOf, openDoor } from './door.ts';

describe('the page, over TLS', () => {
  let door: Door;
  let dir = '';
  let ca = '';
  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), 'plumbline-page-'));
    const webDir = join(dir, 'dist');
    mkdirSync(join(webDir, 'assets'), { recursive: true });
    writeFileSync(join(webDir, 'index.html'), '<!doctype html><title>Plumbline</title>');
    writeFileSync(join(webDir, 'assets', 'main-1a2b3c.js'), 'export {};');
    writeFileSync(join(dir, 'secret.txt'), 'outside of the page');
    const tls = await ensureAuthority({ dir: join(dir, 'tls'), hosts: ['127.0.0.1'] });
    ca = tls.ca;
    door = await openDoor({ webDir, tls });
  });
  afterAll(async () => {
    await door.close();
    rmSync(dir, { recursive: true, force: true });
  });

  type Reply = { status: number; headers: Record<string, unknown>; text: string };
  const call = (method: string, path: string, headers: Record<string, string> = {}, body?: string) =>
    new Promise<Reply>((resolve, reject) => {
      const { hostname, port } = new URL(door.url);
      const sent = request({ method, hostname, port, path, ca, headers, agent: false }, (response) => {
        let text = '';
        response.on('data', (chunk) => {
          text += chunk;
        });
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, headers: response.headers, text }),
        );
      });
      sent.on('error', reject);
      sent.end(body);
    });

  test('is served with its own files cached for ever, and itself never', async () => {
    const page = await call('GET', '/');
    expect(page).toMatchObject({ status: 200, headers: { 'cache-control': 'no-cache' } });
    expect(String(page.headers['content-security-policy'])).toContain("frame-ancestors 'none'");
    const asset = await call('GET', '/assets/main-1a2b3c.js');
    expect(asset.headers).toMatchObject({ 'cache-control': expect.stringContaining('immutable') });
    expect(String(asset.headers['content-type'])).toContain('javascript');
  });

  test('answers its own addresses with itself, and nothing else with it', async () => {
    const html = { accept: 'text/html' };
    expect((await call('GET', '/sites/jp-tokyo-1', html)).text).toContain('<title>Plumbline');
    expect((await call('GET', '/signin', html)).status).toBe(200);
    for (const path of ['/api/v1/nothing', '/assets/gone.js', '/%2e%2e/secret.txt', '/..%2fsecret.txt']) {
      const { status, text } = await call('GET', path);
      expect(status, path).toBeGreaterThanOrEqual(400);
      expect(text).not.toContain('outside');
    }
    expect((await call('GET', '/api/v1/nothing', html)).status).toBe(404);
  });

  test('invites with an https address and the pin of the CA, and its cookie is for TLS only', async () => {
    const authorization = {
      authorization: 'Bearer plt_the-administrators-own-token',
      'content-type': 'application/json',
    };
    const added = await call('POST', '/api/v1/sites', authorization, JSON.stringify({ name: 'far-away' }));
    const token = fieldOf(JSON.parse(added.text), 'token').slice('plj1.'.length);
    const { url, pin } = JSON.parse(Buffer.from(token, 'base64url').toString());
    expect(url).toBe(door.url);
    expect(url).toMatch(/^https:/);
    expect(pin).toHaveLength(43);
    const code = new URL(door.oneTimeSignInUrl).hash.slice(1);
    const signedIn = await call(
      'POST',
      '/api/v1/session',
      { 'content-type': 'application/json' },
      JSON.stringify({ code }),
    );
    expect(String(signedIn.headers['set-cookie'])).toContain('Secure');
  });
});

test('without a page the hub says how to get one, and serves the rest', async () => {
  const door = await openDoor();
  try {
    const answer = await door.call('GET', '/', { headers: { accept: 'text/html' } });
    expect(answer).toMatchObject({ status: 404, body: { detail: expect.stringContaining('build:web') } });
    await until(
      'it is ready',
      async () => (await door.call('GET', '/readyz', { token: null })).status === 200,
    );
  } finally {
    await door.close();
  }
});
