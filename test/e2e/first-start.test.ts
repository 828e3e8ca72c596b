import { execFile, spawnSync } from 'node:child_process';
import { hostname } from 'node:os';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { toSiteId } from '../../core/model/site.ts';
import { Hub } from '../parts/hub.ts';
import { ROOT, until } from '../parts/process.ts';

const execute = promisify(execFile);
const here = toSiteId(hostname());

function firewall(): string {
  return spawnSync('nft', ['list', 'ruleset'], { encoding: 'utf8' }).stdout ?? '';
}

describe('the first start', { timeout: 120_000 }, () => {
  const hub = new Hub({ localSite: true });
  const before = firewall();
  /** What a command prints for programs; what it says to people goes elsewhere. */
  const cli = async (...args: string[]) => {
    const env = { ...process.env, NO_COLOR: '1', PLUMBLINE_DATA_DIR: hub.dataDir };
    return (await execute(`${ROOT}plumbline`, args, { cwd: ROOT, env })).stdout;
  };
  beforeAll(() => hub.start());
  afterAll(() => hub.remove());

  it('shows this machine as a site, with its score', async () => {
    const site = await until('this machine is heard', async () =>
      (await hub.sites()).find(({ id, freshness }) => id === here && freshness === 'heard'),
    );
    expect(site).toMatchObject({ kind: 'host', simulated: false, links: { total: 1, up: 1 } });
    expect(site.score).toBeGreaterThanOrEqual(0);
  });

  it('says where it is, where data lives, and what to try', () => {
    expect(hub.output()).toContain(`Address     ${hub.url}`);
    expect(hub.output()).toContain(hub.dataDir);
    expect(hub.output()).toContain('./plumbline apply -f examples/');
  });

  it('signs in by its link once and not twice', async () => {
    const code = /signin#(\S+)/.exec(hub.output())?.[1];
    expect((await hub.call('POST', '/api/v1/session', { code })).status).toBeLessThan(300);
    expect((await hub.call('POST', '/api/v1/session', { code })).status).toBe(401);
  });

  it('answers the CLI without being told where it is', async () => {
    expect(await cli('get', 'sites')).toMatch(new RegExp(`^${here} .*(healthy|degraded|failing)`, 'm'));
    expect(await cli('explain', 'site', here)).toContain('weighted mean');
    expect(JSON.parse(await cli('get', 'sites', '-o', 'json'))).toBeTruthy();
    expect(await cli('doctor')).toContain('All is well.');
  });

  it('gives a new virtual site its members at once', async () => {
    await cli('apply', '-f', 'examples/');
    const all = await until('the virtual site has this machine', async () => {
      const { items } = await hub.get<{ items: { name: string; rollup: { members: number } }[] }>(
        '/api/v1/virtual-sites',
      );
      return items.find(({ name, rollup }) => name === 'all' && rollup.members === 1);
    });
    expect(all.name).toBe('all');
    expect(await cli('apply', '-f', 'examples/')).toMatch(/unchanged/);
  });

  it('prints the one command that joins a site', async () => {
    const added: { site: string; token: string; command: string } = JSON.parse(
      await cli('site', 'add', 'jp-tokyo-1', '--label', 'env=test', '-o', 'json'),
    );
    expect(added).toMatchObject({ site: 'jp-tokyo-1', command: expect.stringContaining(added.token) });
  });

  it('keeps its own machine as a site when it moves to another port, and when the site was deleted', async () => {
    const reportsAgain = async () => {
      const startedMs = Date.now();
      await until('this machine reports', async () =>
        (await hub.sites()).some(({ id, receivedAtMs }) => id === here && (receivedAtMs ?? 0) > startedMs),
      );
    };
    const before = hub.url;
    await hub.halt();
    await hub.start({ PLUMBLINE_LISTEN: '127.0.0.1:0', PLUMBLINE_INTERVAL: '1s' });
    expect(hub.url).not.toBe(before);
    await reportsAgain();
    await cli('site', 'remove', here);
    await hub.halt();
    await hub.start({ PLUMBLINE_INTERVAL: '1s' });
    await reportsAgain();
  });

  it('leaves the firewall of this machine alone', () => {
    expect(firewall()).toBe(before);
  });
});
