import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { join as joinHub } from '../../adapters/gateway/join.ts';
import type { Problem } from '../../core/problem.ts';
import { expectUndisturbed, readToken } from '../parts/hand-site.ts';
import { Collector, Hub } from '../parts/hub.ts';
import { plumbline } from '../parts/plumbline.ts';
import { until } from '../parts/process.ts';
import { BAD_DOCUMENTS, document, HEAD } from './bad-documents.ts';
import { BAD_REQUESTS, cursor } from './bad-requests.ts';

const CASES_TRIED = 200;
const seed = Number(process.env.BAD_INPUT_SEED ?? Date.now() % 1_000_000);
describe(`bad documents, requests and tokens, seed ${seed}`, { timeout: 120_000 }, () => {
  const hub = new Hub();
  const dir = mkdtempSync(join(tmpdir(), 'plumbline-documents-'));
  let neighbour: Collector | null = null;
  beforeAll(async () => {
    await hub.start();
    neighbour = new Collector(await hub.addSite('neighbour'), { env: { PLUMBLINE_INTERVAL: '500ms' } });
    neighbour.start();
    await until(
      'the neighbour is heard',
      async () => (await hub.site('neighbour')).site.freshness === 'heard',
    );
  });
  afterAll(async () => {
    await neighbour?.remove();
    await hub.remove();
    rmSync(dir, { recursive: true, force: true });
  });

  it.concurrent.each(BAD_DOCUMENTS)(
    'refuses a document with $what, by the CLI and by the API',
    async (bad) => {
      const file = join(dir, `${bad.what.replaceAll(' ', '-')}.yaml`);
      writeFileSync(file, bad.text);
      const { code, said } = await cli(hub, 'apply', '-f', file);
      expect(said).toMatch(bad.cli);
      expect(said).toContain(file);
      expect(code).toBe(1);
      const answer = await hub.call('PUT', '/api/v1/policies/VirtualSite/prod', bad.value);
      expectProblem(answer, bad.api.status, bad.api.pointer, bad.api.detail);
      expect(answer.body).toMatchObject({ code: bad.api.code });
    },
  );

  it('applies nothing of a folder in which one document is wrong', async () => {
    const folder = mkdtempSync(join(dir, 'folder-'));
    writeFileSync(join(folder, 'a.yaml'), `${HEAD}spec: {selector: env}\n`);
    writeFileSync(join(folder, 'b.yaml'), `${HEAD.replace('prod', 'Test')}spec: {selector: env}\n`);
    const { code, said } = await cli(hub, 'apply', '-f', folder);
    expect(said).toMatch(/b\.yaml:3:\d+: metadata\.name: "Test" has not the form it needs/);
    expect(code).toBe(1);
    const page = await hub.get<{ items: unknown[] }>('/api/v1/virtual-sites');
    expect(page.items).toEqual([]);
  });

  it.each(BAD_REQUESTS)(
    'refuses %s, naming field and remedy',
    async (_what, method, path, body, status, at, says) => {
      expectProblem(await hub.call(method, path, body), status, at, says);
    },
  );

  it('refuses bodies that are no JSON, not declared as it, or too large', async () => {
    const send = (body: string, type = 'application/json') =>
      fetch(`${hub.url}/api/v1/sites`, {
        method: 'POST',
        headers: { authorization: `Bearer ${hub.token}`, 'content-type': type },
        body,
      });
    const refusals = [
      [await send('{"name":'), 400, 'bad-request', /not JSON; send an object/],
      [await send('{}', 'text/plain'), 415, 'unsupported-media-type', /content-type application\/json/],
      [await send(`"${'a'.repeat(600_000)}"`), 413, 'too-large', /at most 512 kB; send less/],
    ] as const;
    for (const [response, status, code, detail] of refusals) {
      expect(response.status).toBe(status);
      expect(await response.json()).toMatchObject({ code, detail: expect.stringMatching(detail) });
    }
  });

  it('refuses a wrong bearer token, and says where the right one is', async () => {
    for (const authorization of [
      'Bearer plt_wrong',
      'Bearer',
      'Basic YWRtaW46YWRtaW4=',
      `Bearer ${'a'.repeat(5000)}`,
    ]) {
      const response = await fetch(`${hub.url}/api/v1/sites`, { headers: { authorization } });
      expect(response.status).toBe(401);
      expect(response.headers.get('www-authenticate')).toBe('Bearer');
      expect(await response.json()).toMatchObject({
        code: 'unauthorized',
        detail: expect.stringContaining('admin.token'),
      });
    }
    const { code, said } = await cli(hub, '--token', 'plt_wrong', 'get', 'sites');
    expect(code).toBe(1);
    expect(said).toContain('Give a valid token with --token or PLUMBLINE_TOKEN. [unauthorized]');
  });

  it('refuses join tokens that were altered, used by another, replaced, or of a site that was removed', async () => {
    const token = readToken(await hub.addSite('invited'));
    const first = randomUUID();
    const tries = [
      [
        { ...token, secret: 'another-secret-than-was-given' },
        first,
        'unauthorized',
        /plumbline site token invited/,
      ],
      [token, first, '', /./],
      [token, first, '', /./],
      [
        token,
        randomUUID(),
        'token-used',
        /another collector joined as invited .*plumbline site token invited/,
      ],
    ] as const;
    for (const [altered, instance, code, says] of tries) {
      const answer = await joinHub({ token: altered, instance });
      if (code === '') expect(answer.ok).toBe(true);
      else expect(answer).toEqual({ ok: false, code, detail: expect.stringMatching(says) });
    }
    expect((await hub.call('POST', '/api/v1/sites/invited/token')).status).toBe(200);
    expect(await joinHub({ token, instance: first })).toMatchObject({ code: 'unauthorized' });
    const gone = readToken(await hub.addSite('gone'));
    await hub.call('DELETE', '/api/v1/sites/gone');
    expect(await joinHub({ token: gone, instance: first })).toMatchObject({
      code: 'unauthorized',
      detail: expect.stringMatching(
        /the site was removed; make a new one at the hub with `plumbline site token gone`/,
      ),
    });
  });

  it(`survives ${CASES_TRIED} requests with any document, body and parameter`, async () => {
    await fc.assert(
      fc.asyncProperty(anyRequest(), async ([method, path, body]) => {
        const { status } = await hub.call(method, path, body);
        expect(status).toBeLessThan(500);
      }),
      { numRuns: CASES_TRIED, seed },
    );
    expect((await hub.call('GET', '/readyz')).status).toBe(200);
    expect(hub.output()).not.toMatch(/"level":[56]0/);
  });

  it('disturbed nobody by all of this', () => expectUndisturbed(hub, 'neighbour'));
});

function cli(hub: Hub, ...argv: string[]): Promise<{ code: number | null; said: string }> {
  return plumbline(argv, { PLUMBLINE_DATA_DIR: hub.dataDir });
}

function expectProblem(
  answer: { status: number; body: unknown },
  status: number,
  pointer: string,
  says: RegExp,
): void {
  expect(answer, JSON.stringify(answer.body)).toMatchObject({ status });
  // cast: the problem document's schema is checked in the API's own tests
  const { errors = [], detail } = answer.body as Problem;
  expect(detail).not.toBe('');
  expect(errors.find((error) => error.pointer === pointer)?.detail, JSON.stringify(errors)).toMatch(says);
}

/** Requests that no program would send: any JSON as a body, documents that are right but for a field, any parameter. */
function anyRequest(): fc.Arbitrary<[method: string, path: string, body: unknown]> {
  const odd = fc.oneof(
    fc.constantFrom('', '%00', '%ff', '..', '%2e%2e%2f', '-1', '1e9', '9'.repeat(30), '%F0%9F%92%A3', '[]'),
    fc.string({ maxLength: 30 }).map(encodeURIComponent),
    fc.jsonValue().map((value) => cursor([value, value])),
  );
  const names = fc.constantFrom(
    'limit',
    'cursor',
    'selector',
    'state',
    'virtualSite',
    'site',
    'kind',
    'severity',
    'from',
    'to',
    'step',
  );
  const lists = fc.constantFrom(
    'sites',
    'virtual-sites',
    'events',
    'tokens',
    'sites/neighbour/history',
    'sites/neighbour/links',
  );
  const read = fc
    .tuple(lists, names, odd)
    .map(([list, name, value]) => get(`/api/v1/${list}?${name}=${value}`));
  const named = odd.map((name) => get(`/api/v1/sites/${name}`));
  const spec = fc.oneof(
    fc.jsonValue(),
    fc.record({ selector: fc.oneof(fc.string({ maxLength: 60 }), fc.jsonValue()), guard: fc.jsonValue() }),
  );
  const applied = spec.map((value): [string, string, unknown] => [
    'PUT',
    '/api/v1/policies/VirtualSite/prod',
    typeof value === 'object' && value !== null ? document(value) : value,
  ]);
  const posts = fc.constantFrom('/api/v1/sites', '/api/v1/tokens', '/api/v1/policies/VirtualSite/prod');
  const bodies = fc.oneof(
    fc.jsonValue(),
    fc.record({ name: fc.string(), labels: fc.jsonValue(), role: fc.jsonValue() }),
  );
  const posted = fc
    .tuple(fc.constantFrom('POST', 'PUT', 'PATCH'), posts, bodies)
    .map(([method, path, body]): [string, string, unknown] => [method, path, body]);
  return fc.oneof(read, named, applied, posted);
}

function get(path: string): [string, string, unknown] {
  return ['GET', path, undefined];
}
