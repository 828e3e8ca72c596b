import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { openStore } from '../../adapters/clickhouse/open.ts';
import { silent, withStore } from './store-embedded.ts';
import { FIRST_BOOT, fleetRows, reportRow, START_MS } from './store-rows.ts';
import { viewsAndTruth } from './store-truth.ts';

test('re-inserted rows in other cuts and orders change nothing, and every view equals its truth', async () => {
  await withStore(async (store) => {
    const rows = fleetRows();
    for (let at = 0; at < rows.length; at += 500) await store.insert('report', rows.slice(at, at + 500));
    const once = await viewsAndTruth(store);
    expect(once.views).toEqual(once.truth);
    expect(once.views.minutes?.length).toBeGreaterThan(12 * 30);

    for (let at = 130; at < rows.length; at += 333) await store.insert('report', rows.slice(at, at + 333));
    await store.insert('report', rows.slice(0, 900).reverse());
    const again = await viewsAndTruth(store);
    expect(again).toEqual(once);

    await store.derive('OPTIMIZE TABLE plumbline.report FINAL');
    for (const table of ['site_minute_agg', 'links_minute_agg', 'boot_ledger_agg'])
      await store.derive(`OPTIMIZE TABLE plumbline.${table} FINAL`);
    expect(await viewsAndTruth(store)).toEqual(once);
  });
});

test('of several arrivals of one report the first counts, in whatever order they are stored', async () => {
  const first = reportRow({ site: 'a', seq: 1, tsMs: START_MS });
  const later = { ...first, received_at: first.received_at + 60_000, lane: 'backfill' };
  for (const order of [
    [first, later],
    [later, first],
  ])
    await withStore(async (store) => {
      for (const row of order) await store.insert('report', [row]);
      const received = new Date(first.received_at).toISOString().replace('T', ' ').slice(0, -1);
      expect(
        await store.query('SELECT lane, toString(received_at) AS at FROM plumbline.report FINAL'),
      ).toEqual([{ lane: 'live', at: received }]);
      expect(await store.query('SELECT toString(received_at) AS at FROM plumbline.site_minute')).toEqual([
        { at: received },
      ]);
    });
});

test('every column comes back as it went in', async () => {
  await withStore(async (store) => {
    const row = reportRow({
      site: 'a',
      seq: Number.MAX_SAFE_INTEGER - 1,
      tsMs: START_MS + 7,
      clock_offset_ms: -2_000_000_000,
      payload_hash: `käse ${'ü'.repeat(60)} 😀`,
      penalty_component: [],
      penalty_id: [],
      penalty_subject: [],
      penalty_points: [],
      net_rx_bytes: 2 ** 53 - 1,
      net_tx_bytes: 2 ** 32,
      link_requests: [0, 2 ** 53 - 1, 4_294_967_296],
      link_losses: [1, 2, 3],
      link_errors: [0, 0, 0],
      uptime_s: 4_294_967_295,
      payload: Buffer.from([0, 255, 39, 92, 10]),
    });
    await store.insert('report', [row]);
    const [found] = await store.query<Record<string, unknown>>(
      `SELECT * EXCEPT (payload) REPLACE (toUnixTimestamp64Milli(ts) AS ts, toUnixTimestamp64Milli(received_at) AS received_at),
        hex(payload) AS payload FROM plumbline.report`,
    );
    expect(found).toEqual({ ...row, payload: '00FF275C0A' });
  });
});

test('a query that runs for long delays no insert', async () => {
  await withStore(async (store) => {
    let isReading = true;
    const slow = store
      .query('SELECT sum(sipHash64(number)) AS s FROM numbers(60000000)', {}, 'replay')
      .finally(() => {
        isReading = false;
      });
    for (let seq = 1; seq <= 5; seq++)
      await store.insert('report', [reportRow({ site: 'a', seq, tsMs: START_MS })]);
    expect(await store.query('SELECT count() AS c FROM plumbline.report')).toEqual([{ c: 5 }]);
    expect(isReading).toBe(true);
    await slow;
  });
});

test('a read over its time or memory is refused as limit, and the next one works', async () => {
  const tight = { timeS: 1, memoryBytes: 30_000_000 };
  await withStore(
    async (store) => {
      await expect(
        store.query('SELECT sum(sipHash64(number)) AS s FROM numbers(100000000000)'),
      ).rejects.toMatchObject({ code: 'limit' });
      await expect(
        store.query('SELECT length(groupArray(number)) AS n FROM numbers(20000000)', {}, 'replay'),
      ).rejects.toMatchObject({ code: 'limit' });
      expect(await store.query('SELECT 1 AS one')).toEqual([{ one: 1 }]);
    },
    { reader: tight, replay: tight },
  );
});

test('a row that can never be taken is told apart from a store that takes none', async () => {
  await withStore(async (store) => {
    const [first, second] = [1, 2].map((seq) => reportRow({ site: 'a-1', seq, tsMs: START_MS + seq }));
    if (first === undefined || second === undefined) throw new Error('two rows');
    const bad = { ...second, link_up: [] };
    await expect(store.insert('report', [first, bad])).rejects.toMatchObject({ code: 'unfit' });
    await store.insert('report', [first]);
    await store.derive('RENAME TABLE plumbline.report TO plumbline.elsewhere');
    await expect(store.insert('report', [first])).rejects.toMatchObject({ code: 'rejected' });
  });
});

test('reads write nothing and reach no file, and wrong SQL is rejected', async () => {
  await withStore(async (store) => {
    for (const sql of [
      "INSERT INTO plumbline.gap (site) VALUES ('x')",
      'DROP TABLE plumbline.report',
      "SELECT * FROM file('/etc/hostname', 'LineAsString')",
      'SELECT * FROM nowhere',
    ])
      await expect(store.query(sql)).rejects.toMatchObject({ code: 'rejected' });
  });
});

test('parameters are values, whatever is in them', async () => {
  await withStore(async (store) => {
    const evil = [
      "'; DROP TABLE plumbline.report; --",
      "a\\'b\\\\c",
      "x') OR 1=1 --",
      '{site:String}',
      'tab\t\n,[]',
    ];
    for (const site of evil) {
      await store.insert('gap', [{ site, boot: FIRST_BOOT, from_seq: 1, to_seq: 2, noticed_at: START_MS }]);
      expect(
        await store.query('SELECT site FROM plumbline.gap WHERE site = {site:String}', { site }),
      ).toEqual([{ site }]);
    }
    const found = await store.query<{ c: number }>(
      'SELECT count() AS c FROM plumbline.gap WHERE site IN {sites:Array(String)}',
      { sites: evil },
    );
    expect(found).toEqual([{ c: evil.length }]);
  });
});

test('a second process on the same path is told who holds it', async () => {
  await withStore(async (_store, path) => {
    const child = spawn(
      process.execPath,
      [fileURLToPath(new URL('./store-second.ts', import.meta.url)), path],
      {
        stdio: ['ignore', 'pipe', 'ignore'],
      },
    );
    let said = '';
    child.stdout.on('data', (chunk) => {
      said += chunk;
    });
    await once(child, 'close');
    expect(said).toContain('locked');
    expect(said).toContain(path);
    expect(said).toContain(String(process.pid));
  });
});

test('a store that was stopped refuses, and opens again with what it had', async () => {
  await withStore(async (store) => {
    await store.insert('report', [reportRow({ site: 'a', seq: 1, tsMs: START_MS })]);
    await store.stop();
    await store.stop();
    await expect(store.query('SELECT 1')).rejects.toMatchObject({ code: 'closed' });
    await expect(store.insert('report', [])).rejects.toMatchObject({ code: 'closed' });
    await store.start();
    expect(await store.query('SELECT site FROM plumbline.report')).toEqual([{ site: 'a' }]);
  });
});

test('a schema newer than the code is refused', async () => {
  await withStore(async (store, path) => {
    await store.derive('INSERT INTO plumbline.schema_version (version) SELECT 999');
    await store.stop();
    const older = openStore({ path }, { logger: silent });
    await expect(older.start()).rejects.toMatchObject({ code: 'rejected' });
    await expect(older.start()).rejects.toThrow(/999/);
  });
});

test('killed in the middle of inserts and inserted again in other cuts, nothing is short or double', async () => {
  const path = mkdtempSync(join(tmpdir(), 'plumbline-store-'));
  try {
    for (let round = 0; round < 4; round++) {
      const child = spawn(
        process.execPath,
        [fileURLToPath(new URL('./store-writer.ts', import.meta.url)), path, String(150 + round * 61)],
        { stdio: ['ignore', 'pipe', 'ignore'] },
      );
      const inserts = 3 + round * 4;
      let seen = 0;
      for await (const chunk of child.stdout) {
        seen += String(chunk).split('\n').length - 1;
        if (seen >= inserts) break;
      }
      child.kill('SIGKILL');
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
      expect(seen).toBeGreaterThanOrEqual(inserts);
    }
    const store = openStore({ path }, { logger: silent });
    await store.start();
    try {
      const rows = fleetRows();
      for (let at = 0; at < rows.length; at += 700) await store.insert('report', rows.slice(at, at + 700));
      const { views, truth } = await viewsAndTruth(store);
      expect(views).toEqual(truth);
      expect(await store.query('SELECT count() AS c FROM plumbline.report FINAL')).toEqual([
        { c: rows.length },
      ]);
    } finally {
      await store.stop();
    }
  } finally {
    rmSync(path, { recursive: true, force: true });
  }
});
