import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { problem } from '../../core/problem.ts';
import { madeUpDetail, madeUpEvents, rollupOf } from '../web/stand-in-fleet.ts';
import { runCli, scratchDir } from './run-cli.ts';
import { type StandInHub, startStandInHub, TOKEN } from './stand-in-hub.ts';

const NOW_MS = 1_700_000_000_000;
let hub: StandInHub;
let dataDir: string;
beforeEach(async () => {
  hub = await startStandInHub(undefined, NOW_MS);
  dataDir = scratchDir((clean) => cleanups.push(clean));
});
const cleanups: (() => void)[] = [];
afterEach(async () => {
  await hub.stop();
  for (const clean of cleanups.splice(0)) clean();
});

const cli = (line: string, input?: string) =>
  runCli(line.split(' '), {
    env: { url: hub.url, token: TOKEN, dataDir },
    nowMs: NOW_MS,
    ...(input !== undefined && { input }),
  });
const page = (items: unknown[], next: string | null = null) => ({ value: { items, next } });

describe('get', () => {
  test('sites are a table with colourless signs, every page of them', async () => {
    hub.on('GET /api/v1/sites', ({ query }) =>
      query.cursor === undefined ? page(hub.sites.slice(0, 5), 'five') : page(hub.sites.slice(5)),
    );
    const { code, out, err } = await cli('get sites');
    const lines = out.trimEnd().split('\n');
    expect([code, err, lines.length]).toEqual([0, '', 13]);
    expect(lines[0]).toMatch(/^SITE +KIND +STATE +SCORE +CPU +MEMORY +LINKS +HEARD +REASON$/);
    expect(
      lines
        .slice(1)
        .every((line) =>
          /^\S+ +(host|kubernetes)( \(simulated\))? +[●▲■◇] (healthy|degraded|failing|silent) /.test(line),
        ),
    ).toBe(true);
  });

  test('filters go to the hub as they are', async () => {
    hub.on('GET /api/v1/sites', () => page(hub.sites.slice(0, 1)));
    const { code, err } = await runCli(
      ['get', 'sites', '-l', 'env in (prod),!maint', '--virtual-site', 'prod', '--state', 'red'],
      { env: { url: hub.url, token: TOKEN, dataDir } },
    );
    expect([code, err]).toEqual([0, '']);
    expect(hub.asked[0]?.query).toEqual({
      selector: 'env in (prod),!maint',
      virtualSite: 'prod',
      state: 'red',
    });
  });

  test.each([
    ['failing', 'red'],
    ['degraded', 'orange'],
    ['healthy', 'green'],
    ['green', 'green'],
    ['unknown', 'unknown'],
  ])('--state %s asks for %s', async (word, state) => {
    hub.on('GET /api/v1/sites', () => page([]));
    expect((await cli(`get sites --state ${word}`)).code).toBe(0);
    expect(hub.asked[0]?.query).toEqual({ state });
  });

  test('a virtual site, or the site of events, that is not there is said to be so', async () => {
    hub.on('GET /api/v1/sites', () => page([]));
    hub.on('GET /api/v1/events', () => page([]));
    const missing = (path: string) => ({ code: 1, out: '', err: `No ${path} [not-found]\n` });
    expect(await cli('get sites --virtual-site nope')).toEqual(missing('/api/v1/virtual-sites/nope'));
    expect(await cli('get events nope')).toEqual(missing('/api/v1/sites/nope'));
    hub.on('GET /api/v1/virtual-sites/empty', () => ({
      value: { name: 'empty', selector: 'a=b', createdAtMs: NOW_MS, rollup: rollupOf([]) },
    }));
    expect(await cli('get sites --virtual-site empty')).toMatchObject({ code: 0, err: 'No site matches.\n' });
  });

  test('-o json and -o yaml are the same value', async () => {
    hub.on('GET /api/v1/sites', () => page(hub.sites));
    const json: unknown = JSON.parse((await cli('get sites -o json')).out);
    expect(json).toEqual(hub.sites);
    expect(parse((await cli('-o yaml get sites')).out)).toEqual(hub.sites);
  });

  test('a site by name is one object', async () => {
    const [site] = hub.sites;
    hub.on('GET /api/v1/sites/jp-tokyo-1', () => ({ value: site && madeUpDetail(site, NOW_MS) }));
    expect(JSON.parse((await cli('get site jp-tokyo-1 -o json')).out)).toEqual(site);
  });

  test('what a site says of itself can not steer the terminal', async () => {
    const evil = hub.sites.map((site) => ({ ...site, reason: 'a\u001b[2Jb\u0007\u202ec' }));
    hub.on('GET /api/v1/sites', () => page(evil));
    const { out } = await cli('get sites -o wide');
    expect(out).toContain('a [2Jb c');
    expect(out).not.toContain('\u001b');
  });

  test('virtual sites show how their members are', async () => {
    const view = { name: 'prod', selector: 'env=prod', createdAtMs: NOW_MS, rollup: rollupOf(hub.sites) };
    hub.on('GET /api/v1/virtual-sites', () => page([view]));
    expect((await cli('get vs')).out).toMatch(
      /^prod +12 +\d+ +\d+ +\d+ +\d+ +\d+ +\d+ +\d+\/\d+ +env=prod$/m,
    );
  });

  test('events end with the newest, and no more than the limit are asked for', async () => {
    const events = madeUpEvents(null, NOW_MS).toSorted((a, b) => b.atMs - a.atMs);
    hub.on('GET /api/v1/events', () => page(events, 'more'));
    const { out } = await cli(`get events --limit ${events.length} -o json`);
    const times: { atMs: number }[] = JSON.parse(out);
    expect(times.map(({ atMs }) => atMs)).toEqual(events.map(({ atMs }) => atMs).reverse());
    expect(hub.asked).toHaveLength(1);
  });
});

test('explain adds a score up penalty by penalty', async () => {
  const site = hub.sites.find(({ score }) => score !== null);
  if (site === undefined) throw new Error('no site has a score');
  const detail = madeUpDetail(site, NOW_MS);
  const memory = { totalBytes: 8e9, availableBytes: 2e9, utilization: 0.75 };
  const host = {
    cpu: { utilization: 0.5, count: 4, busyS: 1, load1: 2 },
    memory,
    swap: { totalBytes: 0, usedBytes: 0, utilization: 0 },
    disks: [{ mount: '/', totalBytes: 1e11, availableBytes: 4e10, utilization: 0.6 }],
    interfaces: [],
    uptimeS: 7200,
  };
  hub.on(`GET /api/v1/sites/${site.id}`, () => ({
    value: { ...detail, report: { ...detail.report, host } },
  }));
  const { code, out } = await cli(`explain site ${site.id}`);
  expect(code).toBe(0);
  expect(out).toContain('connectivity     55 = 100 - 31.1 - 13.9  (weight 3)');
  expect(out).toContain('-31.1  link-loss payments-api: 31% of requests lost (19 of 61), since 3m');
  expect(out).toContain('0.8 × 55 (connectivity, the lowest) + 0.2 × 73 (weighted mean) = 59');
  expect(out).toMatch(/LINK +UP +REQUESTS +LOST +ERRORS +P50/);
  expect(out).toMatch(/memory +75% of 8\.0 GB, 2\.0 GB available/);
  expect(out).toMatch(/disk +60% of 100 GB at \/$/m);
  expect(out).toContain('25934 sent = 25890 stored + 2 quarantined + 0 pending + 42 in gaps + 0 missing');
});

describe('apply', () => {
  const document = (name: string) =>
    `apiVersion: plumbline.io/v1\nkind: VirtualSite\nmetadata: {name: ${name}}\nspec: {selector: env=${name}}\n`;
  const applied = (effect: string) => () => ({ value: { effect, kind: 'VirtualSite', name: 'x' } });

  test('a folder is applied in the order of its files, and says what each did', async () => {
    mkdirSync(join(dataDir, 'sub'));
    writeFileSync(join(dataDir, 'b.yaml'), `${document('b')}---\n${document('c')}`);
    writeFileSync(join(dataDir, 'a.json'), JSON.stringify(parse(document('a'))));
    writeFileSync(join(dataDir, 'sub/d.yml'), document('d'));
    writeFileSync(join(dataDir, 'notes.txt'), 'not a document');
    hub.on('PUT /api/v1/policies/VirtualSite/a', applied('created'));
    for (const name of ['b', 'c', 'd'])
      hub.on(`PUT /api/v1/policies/VirtualSite/${name}`, applied('unchanged'));
    const { code, out } = await cli(`apply -f ${dataDir}`);
    expect([code, out]).toEqual([
      0,
      'VirtualSite/a created\nVirtualSite/b unchanged\nVirtualSite/c unchanged\nVirtualSite/d unchanged\n',
    ]);
    expect(hub.asked[0]?.body).toEqual(parse(document('a')));
  });

  test('one fault anywhere and nothing is applied', async () => {
    const { code, out, err } = await cli(
      'apply -f -',
      `${document('a')}---\n${document('b').replace('selector', 'selectr')}`,
    );
    expect([code, out, hub.asked]).toEqual([1, '', []]);
    expect(err).toBe(
      'standard input:9:8: spec.selectr: "selectr" is not a field here; did you mean "selector"?\nNothing was applied: correct these first.\n',
    );
  });

  test('the same resource twice is a fault', async () => {
    const { code, err } = await cli('validate -f -', `${document('a')}---\n${document('a')}`);
    expect(code).toBe(1);
    expect(err).toContain(
      'standard input:6:1: metadata.name: VirtualSite/a stands at standard input:1 already',
    );
  });

  test('the first refusal of the hub ends it, and says what was applied before', async () => {
    hub.on('PUT /api/v1/policies/VirtualSite/a', applied('updated'));
    hub.on('PUT /api/v1/policies/VirtualSite/b', () => ({
      problem: problem('forbidden', 'role viewer may not'),
    }));
    const { code, out, err } = await cli(
      'apply -f -',
      `${document('a')}---\n${document('b')}---\n${document('c')}`,
    );
    expect([code, out]).toEqual([1, 'VirtualSite/a updated\n']);
    expect(err).toContain('VirtualSite/b: Role viewer may not [forbidden]\n1 of 3 were applied.');
    expect(hub.asked).toHaveLength(2);
  });

  test('validate knows the virtual sites of the same documents, and leaves others to the hub', async () => {
    const policy = (virtualSite: string) => `---
apiVersion: plumbline.io/v1
kind: Allowlist
metadata: {name: payments}
spec: {workloads: {}, egress: [{name: out, to: [{cidr: 10.0.0.0/8, ports: [443/TCP]}]}]}
rollout: {stages: [{virtualSite: ${virtualSite}}]}
`;
    const guarded = document('a').replace(
      /spec:.*/s,
      'spec: {selector: env=a, guard: {widestCidr: 16, minSoak: 1h}}\n',
    );
    const { code, err } = await cli('validate -f -', guarded + policy('a'));
    expect(code).toBe(1);
    expect(err).toContain(
      ":9:49: spec.egress[0].to[0]: 10.0.0.0/8 is wider than /16, the widest that the virtual site's guard lets in (virtual site a)",
    );
    expect(err).toContain(
      'rollout.stages[0].verify.soak: the guard of virtual site a asks for a soak of 1h at least; set verify.soak',
    );
    expect((await cli('validate -f -', guarded + policy('elsewhere'))).code).toBe(0);
  });

  test('validate needs no hub', async () => {
    await hub.stop();
    expect(await cli('validate -f -', document('a'))).toEqual({ code: 0, out: '1 valid\n', err: '' });
  });

  test('a file that is not there is a usage error', async () => {
    expect(await cli('apply -f nowhere')).toMatchObject({
      code: 2,
      err: 'There is no file or folder nowhere.\n',
    });
  });
});

describe('sites and tokens', () => {
  const invitation = {
    site: 'jp-tokyo-1',
    token: 'plj1.x',
    command: 'PLUMBLINE_JOIN=plj1.x ./plumbline collector',
    expiresAtMs: NOW_MS + 86_400_000,
  };

  test('site add prints the one command on standard output, and nothing else there', async () => {
    hub.on('POST /api/v1/sites', () => ({ value: invitation }));
    const { code, out, err } = await cli('site add jp-tokyo-1 --label env=test --label tier=1 --kind host');
    expect([code, out]).toEqual([0, `${invitation.command}\n`]);
    expect(err).toContain('good once and for 24h');
    expect(hub.asked[0]?.body).toEqual({
      name: 'jp-tokyo-1',
      labels: { env: 'test', tier: '1' },
      kind: 'host',
    });
  });

  test('site add -o json has site, token and command', async () => {
    hub.on('POST /api/v1/sites', () => ({ value: invitation }));
    expect(JSON.parse((await cli('site add jp-tokyo-1 -o json')).out)).toMatchObject({
      site: 'jp-tokyo-1',
      token: 'plj1.x',
      command: invitation.command,
    });
  });

  test.each([
    ['site add a --label env', '"env" is not a label; write key=value.'],
    ['site add a --label env=a/b', '"env=a/b" is not a label'],
    ['site label a discovered/os=x', '"discovered/os" can\'t be given'],
    ['site add a --kind hots', '--kind "hots" is not known. It takes host'],
    ['token create me --role root', '--role "root" is not known. It takes viewer'],
    ['delete prod', '"prod" names nothing that can be deleted; write VirtualSite/NAME'],
    ['explain virtual-site prod', '"virtual-site" can\'t be explained'],
    ['get site --state purple', '--state "purple" is not known'],
    ['get evnets', 'There is no kind "evnets". Did you mean events?'],
    ['gte sites', "unknown command 'gte'"],
    ['get sites -o xml', "argument 'xml' is invalid"],
    ['apply', "required option '-f, --file <path...>' not specified"],
  ])('%s is refused before the hub is asked', async (line, said) => {
    const { code, out, err } = await cli(line);
    expect([code, out, hub.asked]).toEqual([2, '', []]);
    expect(err).toContain(said);
  });

  test('delete goes to where its kind is', async () => {
    const deleted = () => ({ value: { effect: 'deleted', kind: 'x', name: 'y' } });
    hub.on('DELETE /api/v1/policies/VirtualSite/prod', deleted);
    hub.on('DELETE /api/v1/tokens/me', deleted);
    const { code, out } = await cli('delete virtualsite/prod Token/me');
    expect([code, out]).toEqual([0, 'virtualsite/prod deleted\nToken/me deleted\n']);
  });

  test('a made token is all of standard output', async () => {
    const made = { name: 'me', role: 'viewer', createdAtMs: NOW_MS, token: 'secret' };
    hub.on('POST /api/v1/tokens', () => ({ value: made }));
    expect((await cli('token create me --role viewer')).out).toBe('secret\n');
  });
});

describe('doctor', () => {
  const totals = { boots: 2, sent: 10, stored: 9, quarantined: 0, pending: 0, gaps: 0, lost: 0, missing: 1 };
  const diagnosis = (healthy: boolean) => ({
    healthy,
    checks: [
      { name: 'store', status: 'ok', detail: 'answers in 3 ms' },
      {
        name: 'ledger',
        status: healthy ? 'ok' : 'failed',
        detail: '1 report is missing',
        remedy: 'look at a',
      },
    ],
    totals,
    sites: [{ ...totals, site: 'a', missingRanges: ['00000001-0a1b2c3d 7'] }],
  });

  test('a diagnosis that is not healthy is exit code 1, with what is missing by name', async () => {
    hub.on('GET /api/v1/doctor', () => ({ value: diagnosis(false) }));
    const { code, out, err } = await cli('doctor');
    expect([code, err]).toEqual([1, '']);
    expect(out).toMatch(/■ failed +ledger +1 report is missing → look at a/);
    expect(out).toMatch(/^a +10 +9 +0 +0 +0 +1 +00000001-0a1b2c3d 7$/m);
  });

  test('all is well is exit code 0', async () => {
    hub.on('GET /api/v1/doctor', () => ({ value: diagnosis(true) }));
    const { code, out } = await cli('doctor');
    expect(code).toBe(0);
    expect(out).toContain('All is well.');
  });

  test('a hub that is away is exit code 3, with what can be seen without it', async () => {
    await hub.stop();
    writeFileSync(join(dataDir, 'hub.url'), `${hub.url}\n`);
    const { code, out, err } = await cli('doctor');
    expect([code, out]).toEqual([3, '']);
    expect(err).toContain(`The hub at ${hub.url} can't be reached: nothing listens there.`);
    expect(err).toContain(`${join(dataDir, 'hub.url')} says where the hub was last`);
  });
});

describe('an answer that is no good', () => {
  test.each([
    ['not-ready', 3],
    ['control-away', 3],
    ['not-found', 1],
    ['unauthorized', 1],
  ] as const)('%s is exit code %i', async (code, exitCode) => {
    hub.on('GET /api/v1/sites', () => ({ problem: problem(code, 'because') }));
    const ran = await cli('get sites');
    expect(ran.code).toBe(exitCode);
    expect(ran.err).toContain('Because');
    expect(ran.err).toContain(`[${code}]`);
  });

  test('of another version names the field', async () => {
    hub.on('GET /api/v1/sites', () => page([{ id: 5 }]));
    const { code, err } = await cli('get sites');
    expect(code).toBe(1);
    expect(err).toContain("use the CLI of the hub's version");
  });

  test('fields of the request are named one a line', async () => {
    const faults = [{ pointer: '/labels/env', detail: 'must be text; put it in quotes' }];
    hub.on('GET /api/v1/sites', () => ({ problem: problem('bad-request', 'look below', faults) }));
    expect((await cli('get sites')).err).toContain('\n  /labels/env: must be text; put it in quotes\n');
  });
});

test('--version is the version alone', async () => {
  expect(await cli('--version')).toEqual({ code: 0, out: '0.1.0-test\n', err: '' });
});

test('help says what there is, and ends well', async () => {
  const { code, out } = await cli('--help');
  expect(code).toBe(0);
  for (const name of [
    'get',
    'explain',
    'apply',
    'validate',
    'delete',
    'site',
    'token',
    'signin',
    'top',
    'watch',
    'doctor',
  ])
    expect(out).toMatch(new RegExp(`^  ${name} `, 'm'));
});
