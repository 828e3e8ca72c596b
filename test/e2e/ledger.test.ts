import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openStore } from '../../adapters/clickhouse/open.ts';
import type { Store } from '../../core/ports/store.ts';
import { randomFrom } from '../../simulator/prng.ts';
import { Collector, Hub } from '../parts/hub.ts';
import { ROOT, runToEnd, until } from '../parts/process.ts';
import { exportTables } from './export-tables.ts';

const ROUNDS = 20;
const SITES = ['ash', 'birch', 'cedar'] as const;
const seed = Number(process.env.LEDGER_SEED ?? Date.now() % 1_000_000);

/** Kills at arbitrary moments; what is random comes from the printed seed (LEDGER_SEED repeats it). */
describe(`the ledger over ${ROUNDS} kills, seed ${seed}`, { timeout: 400_000 }, () => {
  const random = randomFrom(String(seed));
  const hub = new Hub();
  const collectors: Collector[] = [];
  const exported = mkdtempSync(join(tmpdir(), 'plumbline-ledger-'));
  let store: Store | null = null;

  beforeAll(async () => {
    console.log(`ledger seed ${seed}`);
    await hub.start();
    for (const name of SITES) {
      const collector = new Collector(await hub.addSite(name), { env: { PLUMBLINE_INTERVAL: '200ms' } });
      collectors.push(collector);
      collector.start();
    }
    const document = {
      apiVersion: 'plumbline.io/v1',
      kind: 'VirtualSite',
      metadata: { name: 'all' },
      spec: { selector: '' },
    };
    expect((await hub.call('PUT', '/api/v1/policies/VirtualSite/all', document)).status).toBeLessThan(300);
  }, 120_000);

  afterAll(async () => {
    await store?.stop();
    for (const collector of collectors) await collector.remove();
    await hub.remove();
    rmSync(exported, { recursive: true, force: true });
  }, 60_000);

  it('ends with every report accounted for', async () => {
    for (let round = 0; round < ROUNDS; round++) {
      await new Promise((resolve) => setTimeout(resolve, 200 + random() * 1500));
      const victim = collectors[Math.floor(random() * collectors.length)];
      if (victim !== undefined && random() < 0.5) {
        await victim.kill('SIGKILL');
        victim.start();
      } else {
        await hub.kill('SIGKILL');
        await hub.start();
      }
    }
    await until(
      'every site reports again',
      async () => (await hub.sites()).every(({ freshness }) => freshness === 'heard'),
      60_000,
    );
    await until(
      'what was held has arrived',
      async () => (await hub.doctor()).totals.pending <= SITES.length,
      90_000,
    );
    for (const collector of collectors) await collector.kill('SIGTERM');
    const { sites } = await until(
      'nothing is pending',
      async () => {
        const diagnosis = await hub.doctor();
        return diagnosis.totals.pending === 0 && diagnosis.totals.missing === 0 && diagnosis;
      },
      60_000,
      () => hub.output().slice(-4000),
    );
    for (const site of sites) {
      expect(site, site.site).toMatchObject({ missing: 0, gaps: 0, quarantined: 0, pending: 0 });
      expect(site.stored).toBe(site.sent);
      expect(site.stored).toBeGreaterThan(ROUNDS);
    }
    expect(sites.map(({ boots }) => boots).reduce((sum, boots) => sum + boots)).toBeGreaterThan(SITES.length);
  });

  it('counts the minutes of a virtual site, all of its members in each', async () => {
    await until(
      'a minute of the kills is counted',
      async () => {
        const { points } = await hub.get<{ points: { members: number }[] }>(
          '/api/v1/virtual-sites/all/history',
        );
        return points.some(({ members }) => members === SITES.length);
      },
      150_000,
      () => hub.output().slice(-3000),
    );
  });

  it('has each row once, and every rollup equals its recomputation in another language', async () => {
    await hub.halt();
    store = openStore(
      { path: join(hub.dataDir, 'store') },
      { logger: { debug() {}, info() {}, warn() {}, error() {} } },
    );
    await store.start();
    await exportTables(store, exported);
    const verdict = await runToEnd(['python3', `${ROOT}test/e2e/recompute.py`, exported]);
    expect(verdict).toMatch(
      /^compared \d+ reports, \d+ site minutes, \d+ link minutes, \d+ boots, [1-9]\d* minutes of a virtual site: all equal$/m,
    );
  });
});
