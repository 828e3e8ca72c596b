import { createSecretKey } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ACCESS } from '../../api/http/access.ts';
import { SessionCookies } from '../../api/sign-in/session-cookie.ts';
import { SignIn, tokenHash } from '../../api/sign-in/sign-in.ts';
import { ROLES } from '../../core/model/role.ts';
import { ADMIN_TOKEN, type Door, fieldOf, openDoor } from './door.ts';

const PROTECTED = Object.entries(ACCESS).flatMap(([route, access]) => {
  const [method = '', path = ''] = route.split(' ');
  return typeof access === 'string'
    ? []
    : [{ method, path: path.replace(':kind', 'VirtualSite').replace(/:\w+/, 'nobody'), access }];
});

describe('who may do what', () => {
  let door: Door;
  const tokens: Record<string, string> = {};
  beforeAll(async () => {
    door = await openDoor();
    for (const role of ROLES) {
      const { body } = await door.call('POST', '/api/v1/tokens', { body: { name: `a-${role}`, role } });
      tokens[role] = fieldOf(body, 'token');
    }
  });
  afterAll(() => door.close());

  test('nobody without a token gets anything', async () => {
    for (const { method, path } of PROTECTED)
      for (const token of [null, 'wrong', `${ADMIN_TOKEN}x`, 'x'.repeat(5000)]) {
        const { status, headers, body } = await door.call(method, path, { token });
        expect([method, path, status]).toEqual([method, path, 401]);
        expect(headers.get('www-authenticate')).toBe('Bearer');
        expect(body).toMatchObject({ code: 'unauthorized' });
      }
  });

  test('each role gets what the table of access gives it', async () => {
    expect(PROTECTED.length).toBeGreaterThan(15);
    for (const { method, path, access } of PROTECTED)
      for (const role of ROLES) {
        if (path === '/api/v1/doctor' || (method === 'DELETE' && path === '/api/v1/session')) continue;
        const { status } = await door.call(method, path, {
          token: tokens[role] ?? null,
          text: method === 'GET' ? undefined : '{}',
        });
        const isAllowed = access.some((one) => one === role);
        expect([method, path, role, status === 403]).toEqual([method, path, role, !isAllowed]);
      }
  });

  test('an author can’t touch guard rails, an administrator can', async () => {
    const document = (spec: object) => ({
      body: { apiVersion: 'plumbline.io/v1', kind: 'VirtualSite', metadata: { name: 'guarded' }, spec },
    });
    const put = (spec: object, role: string) =>
      door.call('PUT', '/api/v1/policies/VirtualSite/guarded', {
        ...document(spec),
        token: tokens[role] ?? '',
      });
    const guard = { approval: 'required' };
    expect(await put({ selector: 'env', guard }, 'author')).toMatchObject({
      status: 403,
      body: { errors: [{ pointer: '/spec/guard' }] },
    });
    expect((await put({ selector: 'env', guard }, 'admin')).status).toBe(200);
    expect((await put({ selector: 'env', guard }, 'author')).body).toMatchObject({ effect: 'unchanged' });
    expect(await put({ selector: 'other', guard }, 'author')).toMatchObject({
      status: 403,
      body: { errors: [{ pointer: '/spec/selector' }] },
    });
    expect((await put({ selector: 'env' }, 'author')).status).toBe(403);
    const remove = (role: string) =>
      door.call('DELETE', '/api/v1/policies/VirtualSite/guarded', { token: tokens[role] ?? '' });
    expect((await remove('author')).status).toBe(403);
    expect((await remove('admin')).body).toMatchObject({ effect: 'deleted' });
  });

  test('a deleted token is worthless at once, and so is a session it opened', async () => {
    const { body } = await door.call('POST', '/api/v1/tokens', {
      body: { name: 'short-lived', role: 'viewer' },
    });
    const token = fieldOf(body, 'token');
    const signedIn = await door.call('POST', '/api/v1/session', { token: null, body: { token } });
    const cookie = signedIn.headers.get('set-cookie')?.split(';')[0] ?? '';
    const withCookie = () => door.call('GET', '/api/v1/session', { token: null, headers: { cookie } });
    expect(await withCookie()).toMatchObject({ status: 200, body: { by: 'short-lived', role: 'viewer' } });
    expect((await door.call('DELETE', '/api/v1/tokens/short-lived')).status).toBe(200);
    expect((await door.call('GET', '/api/v1/sites', { token })).status).toBe(401);
    expect((await withCookie()).status).toBe(401);
    expect(JSON.stringify((await door.call('GET', '/api/v1/tokens')).body)).not.toContain(token);
  });

  test('figures are free on this machine, and a viewer’s behind a proxy', async () => {
    expect((await door.call('GET', '/metrics', { token: null })).status).toBe(200);
    const headers = { 'x-forwarded-for': '192.0.2.7' };
    expect((await door.call('GET', '/metrics', { token: null, headers })).status).toBe(401);
    expect((await door.call('GET', '/metrics', { token: tokens.viewer ?? '', headers })).status).toBe(200);
  });
});

describe('signing a browser in', () => {
  let door: Door;
  beforeAll(async () => {
    door = await openDoor();
  });
  afterAll(() => door.close());
  const cookieOf = (headers: Headers) => headers.get('set-cookie')?.split(';')[0] ?? '';

  test('takes the code of the one-time link once', async () => {
    const { pathname, hash } = new URL(door.oneTimeSignInUrl);
    expect(pathname).toBe('/signin');
    const signIn = () => door.call('POST', '/api/v1/session', { token: null, body: { code: hash.slice(1) } });
    const first = await signIn();
    expect(first).toMatchObject({ status: 200, body: { by: 'admin', role: 'admin' } });
    const setCookie = first.headers.get('set-cookie') ?? '';
    expect(setCookie).toMatch(/HttpOnly/);
    expect(setCookie).toMatch(/SameSite=Strict/);
    expect(setCookie).toMatch(/Max-Age=43200/);
    expect(await signIn()).toMatchObject({ status: 401, body: { errors: [{ pointer: '/code' }] } });
    const cookie = cookieOf(first.headers);
    expect((await door.call('GET', '/api/v1/sites', { token: null, headers: { cookie } })).status).toBe(200);
  });

  test('makes another link for the holder of a token, as nobody else, and for no session', async () => {
    const made = await door.call('POST', '/api/v1/tokens', { body: { name: 'vera', role: 'viewer' } });
    const link = await door.call('POST', '/api/v1/session/link', { token: fieldOf(made.body, 'token') });
    expect(link.status).toBe(201);
    const url = fieldOf(link.body, 'url');
    expect(url.startsWith(`${door.url}/signin#`)).toBe(true);
    const signIn = () =>
      door.call('POST', '/api/v1/session', { token: null, body: { code: new URL(url).hash.slice(1) } });
    const first = await signIn();
    expect(first).toMatchObject({ status: 200, body: { by: 'vera', role: 'viewer' } });
    expect((await signIn()).status).toBe(401);
    const headers = { cookie: cookieOf(first.headers), origin: door.url };
    expect(await door.call('POST', '/api/v1/session/link', { token: null, headers })).toMatchObject({
      status: 403,
      body: { code: 'forbidden' },
    });
    expect((await door.call('POST', '/api/v1/session/link', { token: null })).status).toBe(401);
  });

  test('refuses changes with a cookie from any page but the hub’s own', async () => {
    const signedIn = await door.call('POST', '/api/v1/session', {
      token: null,
      body: { token: ADMIN_TOKEN },
    });
    const cookie = cookieOf(signedIn.headers);
    const add = (name: string, headers: Record<string, string>) =>
      door.call('POST', '/api/v1/sites', { token: null, body: { name }, headers: { cookie, ...headers } });
    for (const origin of ['https://evil.example', 'http://127.0.0.1:1', 'null'])
      expect(await add('csrf', { origin })).toMatchObject({ status: 403, body: { code: 'bad-origin' } });
    expect(await add('csrf', {})).toMatchObject({ status: 403, body: { code: 'bad-origin' } });
    expect((await add('own-page', { origin: door.url })).status).toBe(201);
    expect((await door.call('GET', '/api/v1/sites/csrf')).status).toBe(404);
    expect(
      (
        await door.call('POST', '/api/v1/session', {
          token: null,
          body: { token: ADMIN_TOKEN },
          headers: { origin: 'https://evil.example' },
        })
      ).status,
    ).toBe(403);
  });

  test('a session ends by signing out, by time, and by tampering', async () => {
    const signIn = async () =>
      cookieOf(
        (await door.call('POST', '/api/v1/session', { token: null, body: { token: ADMIN_TOKEN } })).headers,
      );
    const isIn = async (cookie: string) =>
      (await door.call('GET', '/api/v1/session', { token: null, headers: { cookie } })).status === 200;
    const cookie = await signIn();
    expect(await isIn(cookie)).toBe(true);
    const [name = '', value = ''] = cookie.split('=');
    const [payload = '', mac = ''] = value.split('.');
    const session = JSON.parse(Buffer.from(payload, 'base64url').toString());
    const forged = Buffer.from(JSON.stringify({ ...session, expiresAtMs: 9e15 })).toString('base64url');
    for (const bad of [`${forged}.${mac}`, payload, `${payload}.`, `${payload}.${mac}.x`, 'x', `.${mac}`])
      expect(await isIn(`${name}=${bad}`)).toBe(false);
    const out = await door.call('DELETE', '/api/v1/session', {
      token: null,
      headers: { cookie, origin: door.url },
    });
    expect(out.status).toBe(200);
    expect(await isIn(cookie)).toBe(false);
    const later = await signIn();
    door.clock.advance(12 * 3_600_000 + 1000);
    expect(await isIn(later)).toBe(false);
  });

  test('an address that fails too often waits, and may again after a minute', async () => {
    const attempt = (token: string) => door.call('POST', '/api/v1/session', { token: null, body: { token } });
    const statuses: number[] = [];
    let last = await attempt('wrong');
    for (let i = 0; i < 25; i++) {
      last = await attempt('wrong');
      statuses.push(last.status);
    }
    expect(statuses).toContain(401);
    expect(last).toMatchObject({ status: 429, body: { code: 'too-many-requests' } });
    expect(Number(last.headers.get('retry-after'))).toBeGreaterThan(0);
    expect((await attempt(ADMIN_TOKEN)).status).toBe(429);
    expect((await door.call('GET', '/api/v1/sites')).status).toBe(200);
    door.clock.advance(61_000);
    expect((await attempt(ADMIN_TOKEN)).status).toBe(200);
  });

  test('every answer forbids what a page of ours never does', async () => {
    for (const path of ['/api/v1/sites', '/', '/nothing', '/healthz']) {
      const { headers } = await door.call('GET', path);
      expect(headers.get('content-security-policy')).toContain("default-src 'self'");
      expect(headers.get('content-security-policy')).toContain("frame-ancestors 'none'");
      expect(headers.get('x-content-type-options')).toBe('nosniff');
      expect(headers.get('referrer-policy')).toBe('no-referrer');
    }
    expect((await door.call('GET', '/api/v1/sites')).headers.get('cache-control')).toBe('no-store');
  });
});

describe('joining', () => {
  let door: Door;
  beforeAll(async () => {
    door = await openDoor();
  });
  afterAll(() => door.close());
  const invited = async (name: string) => {
    const { body } = await door.call('POST', '/api/v1/sites', { body: { name } });
    return tokenIn(body);
  };
  const join = (site: string, secret: string, instance = 'an-installation') =>
    door.call('POST', '/api/v1/join', { token: null, body: { site, secret, instance } });

  test('gives the same installation its key again, and another one none', async () => {
    const secret = await invited('joiner');
    const first = await join('joiner', secret);
    expect(first.status).toBe(200);
    expect(await join('joiner', secret)).toMatchObject({
      status: 200,
      body: { key: fieldOf(first.body, 'key') },
    });
    expect(await join('joiner', secret, 'another-one')).toMatchObject({
      status: 409,
      body: { code: 'token-used' },
    });
  });

  test('refuses a secret that is wrong, replaced, expired, or of a site that is gone', async () => {
    const secret = await invited('strict');
    const commands = (await door.records('commands', 1)).length;
    expect(await join('strict', 'x'.repeat(32))).toMatchObject({ status: 401 });
    // Who does not have the secret does not get as far as the log.
    expect(await door.records('commands', commands)).toHaveLength(commands);
    const renewed = await door.call('POST', '/api/v1/sites/strict/token', { body: {} });
    expect(await join('strict', secret)).toMatchObject({ status: 401, body: { code: 'unauthorized' } });
    expect((await join('strict', tokenIn(renewed.body))).status).toBe(200);
    const late = await invited('late');
    door.clock.advance(25 * 3_600_000);
    expect(await join('late', late)).toMatchObject({ status: 410, body: { code: 'token-expired' } });
    await door.call('DELETE', '/api/v1/sites/late');
    expect((await join('late', late)).status).toBe(401);
  });

  test('names the fields of a request that does not fit', async () => {
    const { status, body } = await door.call('POST', '/api/v1/join', {
      token: null,
      body: { site: 'A!', secret: 'short' },
    });
    expect(status).toBe(400);
    expect(JSON.stringify(body)).toContain('/site');
    expect(JSON.stringify(body)).toContain('/secret');
  });
});

function tokenIn(body: unknown): string {
  const token = fieldOf(body, 'token');
  return JSON.parse(Buffer.from(token.slice('plj1.'.length), 'base64url').toString()).secret;
}

test('an empty token signs nobody in, not even where the administrator’s token is empty', () => {
  const signIn = new SignIn({
    cookies: new SessionCookies(createSecretKey(Buffer.alloc(32))),
    directory: () => {
      throw new Error('no token of the directory is empty');
    },
    adminTokenHash: tokenHash(''),
    clock: { nowMs: () => 0, monoMs: () => 0 },
  });
  expect(signIn.withToken('')).toBeNull();
});
