import type { TSchema } from 'typebox';
import { Compile } from 'typebox/compile';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { encodeReportFrame } from '../../core/channel.ts';
import type { Report } from '../../core/model/report.ts';
import { VirtualSiteDocument } from '../../core/model/resource.ts';
import {
  Diagnosis,
  Distribution,
  EventPage,
  HubInfo,
  ScoreExplanation,
  SiteDetail,
  SiteHistory,
  SiteInvitation,
  SiteLinks,
  SitePage,
  VirtualSiteHistory,
  VirtualSitePage,
  VirtualSiteView,
} from '../../core/model/view.ts';
import { keyFrom, seal } from '../../core/seal.ts';
import { until } from '../parts/process.ts';
import { FIRST_BOOT, link, report } from '../parts/report.ts';
import { type Door, openDoor } from './door.ts';

const SECOND_BOOT = '00000002-0a1b2c3d';
const document = (name: string, spec: object) => ({
  apiVersion: 'plumbline.io/v1',
  kind: 'VirtualSite',
  metadata: { name },
  spec,
});

describe('the routes, over what a site reported', () => {
  let door: Door;
  let beganMs = 0;
  beforeAll(async () => {
    door = await openDoor();
    await door.aggregator.start();
    beganMs = Math.floor(Date.now() / 60_000) * 60_000 - 600_000;
    const key = await door.joined('jp-tokyo-1', { env: 'prod' });
    for (let i = 0; i < 5; i++) await door.call('POST', '/api/v1/sites', { body: { name: `quiet-${i}` } });
    await door.call('PUT', '/api/v1/policies/VirtualSite/prod', {
      body: document('prod', { selector: 'env=prod' }),
    });
    const { socket, inbox } = await door.proven('jp-tokyo-1', key);
    const at = (seq: number, part: Partial<Report> = {}) =>
      report({ seq, ts: beganMs + seq * 60_000, held: { boot: FIRST_BOOT, seq }, ...part });
    const bad = [
      link({ name: 'hub', protocol: 'hub' }),
      link({ name: 'api', up: false, lastError: 'refused' }),
    ];
    const reports = [
      at(1),
      at(2),
      // 3 and 4 were dropped at the site; 5 never came and is not held either.
      at(6, { dropped: [{ boot: FIRST_BOOT, from: 3, to: 4 }] }),
      // A clock ten days off: quarantined.
      at(7, { ts: beganMs + 10 * 86_400_000 }),
      // The boot before had 9; of those 8 and 9 are still held.
      at(1, {
        boot: SECOND_BOOT,
        prev: { boot: FIRST_BOOT, seq: 9 },
        held: { boot: FIRST_BOOT, seq: 8 },
        ts: beganMs + 480_000,
      }),
      at(2, {
        boot: SECOND_BOOT,
        prev: { boot: FIRST_BOOT, seq: 9 },
        held: { boot: FIRST_BOOT, seq: 8 },
        ts: beganMs + 490_000,
        links: bad,
      }),
    ];
    const sealed = reports.map((one) => seal(keyFrom(key), Buffer.from(JSON.stringify(one))));
    socket.send(encodeReportFrame({ frame: 1, lane: 'live', reports: sealed }));
    await inbox.next(({ type }) => type === 'ack');
    await until('the state', async () => {
      const { body } = await door.call('GET', '/api/v1/sites/jp-tokyo-1');
      return JSON.stringify(body).includes('"report":{');
    });
  });
  afterAll(() => door.close());

  test.each<[string, TSchema]>([
    ['/api/v1/sites', SitePage],
    ['/api/v1/sites/jp-tokyo-1', SiteDetail],
    ['/api/v1/sites/quiet-1', SiteDetail],
    ['/api/v1/sites/jp-tokyo-1/score', ScoreExplanation],
    ['/api/v1/sites/jp-tokyo-1/links', SiteLinks],
    ['/api/v1/sites/jp-tokyo-1/history', SiteHistory],
    ['/api/v1/virtual-sites', VirtualSitePage],
    ['/api/v1/virtual-sites/prod', VirtualSiteView],
    ['/api/v1/virtual-sites/prod/distribution', Distribution],
    ['/api/v1/virtual-sites/prod/history', VirtualSiteHistory],
    ['/api/v1/policies/VirtualSite/prod', VirtualSiteDocument],
    ['/api/v1/events', EventPage],
    ['/api/v1/hub', HubInfo],
    ['/api/v1/doctor', Diagnosis],
  ])('GET %s answers in its documented shape', async (path, schema) => {
    const body = await door.get(path);
    expect(Compile(schema).Errors(body)).toEqual([]);
  });

  test('a site’s detail has its newest report, its explanation and its ledger', async () => {
    const detail = await door.get<SiteDetail>('/api/v1/sites/jp-tokyo-1');
    expect(detail.site).toMatchObject({ virtualSites: ['prod'], links: { total: 2, up: 1 } });
    expect(detail.report).toMatchObject({ boot: SECOND_BOOT, seq: 2 });
    expect(detail.explanation.components.flatMap(({ penalties }) => penalties.map(({ id }) => id))).toContain(
      'link-down',
    );
    expect(detail.joinedAtMs).not.toBeNull();
    expect(detail.ledger).toEqual({
      site: 'jp-tokyo-1',
      boots: 2,
      sent: 11,
      stored: 5,
      quarantined: 1,
      gaps: 2,
      pending: 2,
      lost: 0,
      missing: 1,
      missingRanges: [`${FIRST_BOOT} #5`],
    });
  });

  test('the doctor fails on what is missing, names it, and adds up', async () => {
    const diagnosis = await door.get<Diagnosis>('/api/v1/doctor');
    expect(diagnosis.healthy).toBe(false);
    const ledger = diagnosis.checks.find(({ name }) => name === 'ledger');
    expect(ledger).toMatchObject({ status: 'failed' });
    expect(ledger?.detail).toContain('jp-tokyo-1');
    const quarantine = diagnosis.checks.find(({ name }) => name === 'quarantine');
    expect(quarantine).toMatchObject({ status: 'warning', detail: expect.stringContaining('clock') });
    expect(quarantine?.remedy).toContain('`plumbline get events`');
    const { sent, stored, quarantined, pending, gaps, lost, missing } = diagnosis.totals;
    expect(sent).toBe(stored + quarantined + pending + gaps + lost + missing);
    expect(diagnosis.checks.every(({ status, remedy }) => status === 'ok' || remedy !== undefined)).toBe(
      true,
    );
  });

  test('history and links come by minutes and by longer steps', async () => {
    const range = `from=${beganMs}&to=${beganMs + 600_000}`;
    const minutes = await door.get<SiteHistory>(`/api/v1/sites/jp-tokyo-1/history?${range}`);
    expect(minutes.points.map(({ atMs }) => (atMs - beganMs) / 60_000)).toEqual([1, 2, 6, 8]);
    expect(minutes.points[0]).toMatchObject({ cpu: 0.31, memory: 0.5 });
    const whole = await door.get<SiteHistory>(`/api/v1/sites/jp-tokyo-1/history?${range}&step=600000`);
    expect(whole.points.length).toBeLessThanOrEqual(2);
    const lowest = Math.min(...minutes.points.map(({ score }) => score ?? 100));
    expect(Math.min(...whole.points.map(({ score }) => score ?? 100))).toBe(lowest);
    const links = await door.get<SiteLinks>(`/api/v1/sites/jp-tokyo-1/links?${range}`);
    expect(links.links.map(({ name }) => name)).toEqual(['hub', 'api']);
    expect(links.history.find(({ name }) => name === 'api')).toMatchObject({ up: false });
  });

  test('sites page by cursor, each once, in order, also with filters', async () => {
    const seen: string[] = [];
    let cursor: string | null = '';
    while (cursor !== null) {
      const page: SitePage = await door.get(
        `/api/v1/sites?limit=2${cursor === '' ? '' : `&cursor=${cursor}`}`,
      );
      expect(page.items.length).toBeLessThanOrEqual(2);
      seen.push(...page.items.map(({ id }) => id));
      cursor = page.next;
    }
    expect(seen).toEqual(['jp-tokyo-1', 'quiet-0', 'quiet-1', 'quiet-2', 'quiet-3', 'quiet-4']);
    const ids = async (query: string) =>
      (await door.get<SitePage>(`/api/v1/sites?${query}`)).items.map(({ id }) => id);
    expect(await ids('virtualSite=prod')).toEqual(['jp-tokyo-1']);
    expect(await ids('selector=!env&limit=3')).toEqual(['quiet-0', 'quiet-1', 'quiet-2']);
    expect(await ids('state=unknown&selector=discovered/os.type=linux')).toEqual([]);
  });

  test('events page by cursor, newest first, each once', async () => {
    const all = await door.get<EventPage>('/api/v1/events?limit=1000');
    const seen: string[] = [];
    let cursor: string | null = '';
    while (cursor !== null) {
      const page: EventPage = await door.get(
        `/api/v1/events?limit=3${cursor === '' ? '' : `&cursor=${cursor}`}`,
      );
      expect(page.items.length).toBeLessThanOrEqual(3);
      seen.push(...page.items.map(({ id }) => id));
      cursor = page.next;
    }
    expect(seen).toEqual(all.items.map(({ id }) => id));
    expect(all.items.map(({ atMs }) => atMs)).toEqual(
      all.items.map(({ atMs }) => atMs).toSorted((a, b) => b - a),
    );
    const added = await door.get<EventPage>('/api/v1/events?kind=site.added&site=quiet-3');
    expect(added.items.map(({ site, by }) => [site, by])).toEqual([['quiet-3', 'admin']]);
  });

  test('applying the same document twice changes nothing, and it reads back as it was written', async () => {
    const written = document('twice', { selector: { matchLabels: { env: 'prod' } } });
    const put = () => door.call('PUT', '/api/v1/policies/VirtualSite/twice', { body: written });
    expect((await put()).body).toMatchObject({ effect: 'created' });
    expect((await put()).body).toMatchObject({ effect: 'unchanged' });
    expect(await door.get('/api/v1/policies/VirtualSite/twice')).toEqual(written);
    expect(await door.get('/api/v1/virtual-sites/twice')).toMatchObject({ rollup: { members: 1 } });
  });

  test('labels are set and taken away, and the rest stays', async () => {
    const patch = (labels: object) => door.call('PATCH', '/api/v1/sites/quiet-0', { body: { labels } });
    expect((await patch({ a: '1', b: '2' })).body).toMatchObject({ effect: 'updated' });
    expect((await patch({ a: null, c: '3' })).status).toBe(200);
    expect((await door.get<SiteDetail>('/api/v1/sites/quiet-0')).site.labels).toEqual({ b: '2', c: '3' });
    expect(await patch({ 'discovered/os.type': 'x' })).toMatchObject({
      status: 400,
      body: { errors: [{ pointer: '/labels/discovered~1os.type' }] },
    });
    expect(await patch({ 'not a label!': 'x' })).toMatchObject({ status: 400 });
  });

  test('an invitation carries the hub’s address and is a command that can be run', async () => {
    const { body } = await door.call('POST', '/api/v1/sites', { body: { name: 'new-one', kind: 'host' } });
    expect(Compile(SiteInvitation).Errors(body)).toEqual([]);
    expect(body).toMatchObject({
      site: 'new-one',
      command: expect.stringMatching(/^PLUMBLINE_JOIN=plj1\.\S+ \.\/plumbline collector$/),
      note: expect.stringContaining('only works on this very machine'),
    });
    expect(await door.call('POST', '/api/v1/sites', { body: { name: 'new-one' } })).toMatchObject({
      status: 409,
      body: { code: 'already-exists' },
    });
  });
});

describe('a request that is not right', () => {
  let door: Door;
  beforeAll(async () => {
    door = await openDoor();
  });
  afterAll(() => door.close());

  test.each<
    [
      string,
      string,
      { body?: unknown; text?: string; headers?: Record<string, string> },
      number,
      string,
      string,
    ]
  >([
    ['POST', '/api/v1/sites', { text: '{"name":' }, 400, 'bad-request', ''],
    ['POST', '/api/v1/sites', { text: '' }, 400, 'bad-request', ''],
    ['POST', '/api/v1/sites', { body: [] }, 400, 'bad-request', ''],
    ['POST', '/api/v1/sites', { body: { name: 'Big' } }, 400, 'bad-request', '/name'],
    [
      'POST',
      '/api/v1/sites',
      { body: { name: 'a', labels: { 'b c': 'x' } } },
      400,
      'bad-request',
      '/labels/b c',
    ],
    ['POST', '/api/v1/sites', { body: { name: 'a', lables: {} } }, 400, 'bad-request', '/lables'],
    ['POST', '/api/v1/sites', { text: 'x'.repeat(600_000) }, 413, 'too-large', ''],
    [
      'POST',
      '/api/v1/sites',
      { text: 'name: a', headers: { 'content-type': 'text/yaml' } },
      415,
      'unsupported-media-type',
      '',
    ],
    ['GET', '/api/v1/sites?limit=0', {}, 400, 'bad-request', '/limit'],
    ['GET', '/api/v1/sites?limit=5000', {}, 400, 'bad-request', '/limit'],
    ['GET', '/api/v1/sites?colour=red', {}, 400, 'bad-request', '/colour'],
    ['GET', '/api/v1/sites?state=purple', {}, 400, 'bad-request', '/state'],
    ['GET', '/api/v1/sites?selector=env%20in%20(', {}, 422, 'invalid-selector', '/selector'],
    ['GET', '/api/v1/sites?cursor=garbage', {}, 400, 'bad-request', '/cursor'],
    ['GET', '/api/v1/events?cursor=W10', {}, 400, 'bad-request', '/cursor'],
    ['GET', '/api/v1/events?kind=nothing', {}, 400, 'bad-request', '/kind'],
    ['GET', '/api/v1/sites/nobody', {}, 404, 'not-found', ''],
    ['GET', '/api/v1/sites?virtualSite=nobody', {}, 404, 'not-found', ''],
    ['GET', '/api/v1/events?virtualSite=nobody', {}, 404, 'not-found', ''],
    ['POST', '/api/v1/tokens', { body: { name: 'admin', role: 'viewer' } }, 400, 'bad-request', ''],
    ['POST', '/api/v1/tokens', { body: { name: 'control', role: 'admin' } }, 400, 'bad-request', ''],
    ['POST', '/api/v1/session', { body: { token: '' } }, 400, 'bad-request', '/token'],
    ['GET', '/api/v1/virtual-sites/nobody/history', {}, 404, 'not-found', ''],
    ['DELETE', '/api/v1/sites/nobody', {}, 404, 'not-found', ''],
    ['DELETE', '/api/v1/policies/VirtualSite/nobody', {}, 404, 'not-found', ''],
    ['PUT', '/api/v1/policies/Quota/x', { body: {} }, 404, 'not-found', ''],
    ['PUT', '/api/v1/policies/VirtualSite/x', { body: {} }, 422, 'invalid-document', ''],
    [
      'PUT',
      '/api/v1/policies/VirtualSite/x',
      { body: document('y', { selector: 'a' }) },
      422,
      'invalid-document',
      '/metadata/name',
    ],
    [
      'PUT',
      '/api/v1/policies/VirtualSite/x',
      { body: document('x', { selector: 'a in' }) },
      422,
      'invalid-selector',
      '/spec/selector',
    ],
    [
      'PUT',
      '/api/v1/policies/VirtualSite/x',
      { body: document('x', { selektor: 'a' }) },
      422,
      'invalid-document',
      '/spec/selektor',
    ],
    ['POST', '/api/v1/tokens', { body: { name: 'x', role: 'king' } }, 400, 'bad-request', '/role'],
    ['POST', '/api/v1/session', { body: {} }, 400, 'bad-request', ''],
    ['GET', '/api/v1/nothing', {}, 404, 'not-found', ''],
    ['PUT', '/api/v1/sites', { body: {} }, 404, 'not-found', ''],
  ])('%s %s %j gets %i %s', async (method, path, options, status, code, pointer) => {
    const answer = await door.call(method, path, options);
    expect(answer.headers.get('content-type')).toContain('application/problem+json');
    expect(answer).toMatchObject({
      status,
      body: { status, code, type: `https://plumbline.io/problems/${code}` },
    });
    const { body } = answer;
    const detail = typeof body === 'object' && body !== null && 'detail' in body ? String(body.detail) : '';
    expect(detail.length).toBeGreaterThan(10);
    if (pointer !== '') expect(JSON.stringify(body)).toContain(`"pointer":"${pointer}`);
  });

  test('a history of too many points, or backwards, says which parameter to change', async () => {
    await door.call('POST', '/api/v1/sites', { body: { name: 'spanned' } });
    const at = (query: string) => door.call('GET', `/api/v1/sites/spanned/history?${query}`);
    expect(await at(`from=0&to=${31 * 86_400_000}`)).toMatchObject({
      status: 400,
      body: { errors: [{ pointer: '/step' }] },
    });
    expect(await at('from=10&to=5')).toMatchObject({ status: 400, body: { errors: [{ pointer: '/from' }] } });
    expect(await at('from=0&to=1700000000000')).toMatchObject({
      status: 400,
      body: { errors: [{ pointer: '/from' }] },
    });
    expect((await at('step=1')).status).toBe(400);
  });
});

test('a hub whose aggregator is in trouble is not ready, and doctor says why', async () => {
  const door = await openDoor();
  const ready = async () => (await door.call('GET', '/readyz', { token: null })).status;
  try {
    await until('ready', async () => (await ready()) === 200);
    door.hearing.trouble = 'insert: no such column (rejected)';
    expect(await ready()).toBe(503);
    const diagnosis = await door.get<Diagnosis>('/api/v1/doctor');
    expect(diagnosis.healthy).toBe(false);
    const check = diagnosis.checks.find(({ name }) => name === 'log');
    expect(check).toMatchObject({ status: 'failed', detail: expect.stringContaining('no such column') });
  } finally {
    await door.close();
  }
});

test('a change that no control role answers is said to be recorded, not lost', async () => {
  const door = await openDoor({ answerWithinMs: 300, withControl: false });
  try {
    const answer = await door.call('POST', '/api/v1/sites', { body: { name: 'patient' } });
    expect(answer).toMatchObject({ status: 503, body: { code: 'control-away' } });
    expect((await door.records('commands', 1)).map(({ key }) => key)).toEqual(['Site/patient']);
    const diagnosis = await door.get<Diagnosis>('/api/v1/doctor');
    expect(diagnosis.checks.find(({ name }) => name === 'control')).toMatchObject({ status: 'failed' });
    expect(await door.call('GET', '/readyz', { token: null })).toMatchObject({
      status: 503,
      body: { code: 'not-ready' },
    });
  } finally {
    await door.close();
  }
});
