import { cpSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Diagnosis, EventPage, HubInfo } from '../../core/model/view.ts';
import { Collector, Hub } from '../parts/hub.ts';
import { plumbline } from '../parts/plumbline.ts';
import { until } from '../parts/process.ts';

const POLICY = {
  apiVersion: 'plumbline.io/v1',
  kind: 'Allowlist',
  metadata: { name: 'payments' },
  spec: {
    workloads: { matchLabels: { app: 'checkout' } },
    egress: [{ name: 'api', to: [{ cidr: '198.51.100.0/24', ports: ['443/TCP'] }] }],
  },
  rollout: { stages: [{ virtualSite: 'all' }] },
};
const VIRTUAL_SITE = {
  apiVersion: 'plumbline.io/v1',
  kind: 'VirtualSite',
  metadata: { name: 'all' },
  spec: { selector: 'env=test' },
};

/** The story of docs/restore.md: a hub that comes back from a backup from before its keys were rotated. */
describe('a hub that is restored from a backup', { timeout: 300_000 }, () => {
  const hub = new Hub();
  const backup = mkdtempSync(join(tmpdir(), 'plumbline-backup-'));
  const apart = mkdtempSync(join(tmpdir(), 'plumbline-key-'));
  const sites: Record<string, Collector> = {};
  let last = '';

  const cli = (...argv: string[]) =>
    plumbline(argv, { PLUMBLINE_URL: hub.url, PLUMBLINE_TOKEN: hub.token, PLUMBLINE_DATA_DIR: hub.dataDir });
  const troubles = async () =>
    (await hub.get<HubInfo>('/api/v1/hub')).troubles.map(({ code }) => code).sort();
  const checkOf = (diagnosis: Diagnosis, name: string) => diagnosis.checks.filter((one) => one.name === name);
  const kindsOf = async () =>
    (await hub.get<EventPage>('/api/v1/events?limit=500')).items.map(({ kind }) => kind);

  const refusing = async (words: string) =>
    (await hub.get<HubInfo>('/api/v1/hub')).troubles.some(({ detail }) => detail.startsWith(words));

  /** Every site says that it believes a keyring of as many rotations. */
  const believed = (n: number) =>
    until(
      `sites believe keyring ${n}`,
      async () => {
        for (const name of Object.keys(sites)) {
          const { report } = await hub.site(name);
          if (!JSON.stringify(report).includes(`"keyring":{"version":{"epoch":1,"n":${n}}`)) return false;
        }
        return true;
      },
      60_000,
      () => hub.output().slice(-3000),
    );

  beforeAll(async () => {
    await hub.start();
    for (const name of ['ash', 'birch']) {
      const collector = new Collector(await hub.addSite(name, { env: 'test' }));
      sites[name] = collector;
      collector.start();
    }
    for (const document of [VIRTUAL_SITE, POLICY]) {
      const path = `/api/v1/policies/${document.kind}/${document.metadata.name}`;
      const { status, body } = await hub.call('PUT', path, document);
      expect(status, JSON.stringify(body)).toBeLessThan(300);
    }
    await believed(1);
    await hub.halt();
    cpSync(hub.dataDir, backup, { recursive: true });
    await hub.start();
    expect(await cli('keys', 'rotate', '--revoke')).toMatchObject({ code: 0 });
    await believed(2);
    // Reports that the backup knows nothing of.
    const before = (await hub.doctor()).totals.stored;
    await until('more reports', async () => (await hub.doctor()).totals.stored > before + 6, 60_000);
    await hub.halt();
    cpSync(join(hub.dataDir, 'policy.key'), join(apart, 'policy.key'));
    for (const name of readdirSync(hub.dataDir)) rmSync(join(hub.dataDir, name), { recursive: true });
    cpSync(backup, hub.dataDir, { recursive: true });
    await hub.start();
  }, 200_000);

  afterAll(async () => {
    for (const collector of Object.values(sites)) await collector.remove();
    await hub.remove();
    for (const dir of [backup, apart]) rmSync(dir, { recursive: true, force: true });
  }, 60_000);

  it('says that its key is not believed, that it is behind, and what to do', async () => {
    await until('both sites refuse it', () => refusing('2 of 2 sites refuse'), 90_000);
    expect(await troubles()).toEqual(['key-distrusted', 'read-only']);
    const { code, said } = await cli('doctor');
    expect(code, said).toBe(1);
    expect(said).toMatch(/failed +policy +2 of 2 sites refuse what this hub signs.*ash, birch/);
    expect(said).toContain('put the newest policy.key back');
    expect(said).toMatch(/failed +policy +policy is read-only: site \w+ has seen .*plumbline restore/);
    const rotated = await cli('keys', 'rotate');
    expect(rotated.code, rotated.said).toBe(1);
    await until('its events', async () => {
      const kinds = await kindsOf();
      return kinds.includes('keys.distrusted') && kinds.includes('policy.read-only');
    });
  });

  it('does not claim to lead after `restore`, and takes note of the reports that are lost', async () => {
    await until('missing reports', async () => (await hub.doctor()).totals.missing > 0, 60_000);
    const { code, said } = await cli('restore');
    expect(code, said).toBe(1);
    expect(said).toMatch(/policy goes on in epoch 2/);
    expect(said).toMatch(/\d+ reports that sites had handed over before are not in its tables/);
    expect(said).toContain('but 2 of 2 sites refuse what this hub signs');
    await until('it only lacks the key', async () => (await troubles()).join() === 'key-distrusted');
    const ledger = checkOf(await hub.doctor(), 'ledger');
    expect(ledger).toMatchObject([
      { status: 'ok', detail: expect.stringMatching(/from before the restore at .* are not in this store/) },
    ]);
  });

  it('has a site back that joins again with a new token', async () => {
    const { body } = await hub.call('POST', '/api/v1/sites/birch/token');
    const { token } = JSON.parse(JSON.stringify(body));
    await sites.birch?.kill('SIGTERM');
    sites.birch?.start({ PLUMBLINE_JOIN: token });
    await until(
      'it believes the hub again',
      () => refusing('1 of 2 sites refuse'),
      60_000,
      () => sites.birch?.output().slice(-3000) ?? '',
    );
  });

  it('has all of them back with its newest key, and nothing is left to restore', async () => {
    await hub.halt();
    cpSync(join(apart, 'policy.key'), join(hub.dataDir, 'policy.key'));
    await hub.start();
    const { said } = await until(
      'doctor is content',
      async () => {
        const found = await cli('doctor');
        last = found.said;
        return found.code === 0 && !found.said.includes('refuse what') && found;
      },
      90_000,
      () => last,
    );
    expect(said).toMatch(/ok +policy/);
    expect(said).toMatch(/LOST BY RESTORE/);
    expect(await troubles()).toEqual([]);
    const again = await cli('restore');
    expect(again.code, again.said).toBe(0);
    expect(again.said).toContain('nothing to restore');
    // The end of a trouble is told when it was over for two minutes.
    const endsTold = async () => {
      const kinds = await kindsOf();
      return kinds.includes('keys.trusted') && kinds.includes('policy.read-only-over');
    };
    await until('its events', endsTold, 180_000);
    expect((await kindsOf()).filter((kind) => kind === 'hub.restored')).toHaveLength(1);
    const applied = await hub.call('PUT', '/api/v1/policies/Allowlist/payments', {
      ...POLICY,
      spec: {
        ...POLICY.spec,
        egress: [{ name: 'all', to: [{ cidr: '203.0.113.0/24', ports: ['443/TCP'] }] }],
      },
    });
    expect(applied.status, JSON.stringify(applied.body)).toBeLessThan(300);
  });
});
