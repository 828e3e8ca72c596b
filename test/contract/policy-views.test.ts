import { expect, test } from 'vitest';
import type { RowOf } from '../../core/model/rows.ts';
import type { Store } from '../../core/ports/store.ts';
import { policyStatus } from '../parts/policy-report.ts';
import { policyRow } from '../policy/evidence/histories.ts';
import { withStore } from './store-embedded.ts';
import { FIRST_BOOT } from './store-rows.ts';

const HOUR_MS = Math.floor(Date.now() / 3_600_000) * 3_600_000 - 2 * 3_600_000;

function hits(seq: number, total: number, part: Parameters<typeof policyStatus>[0] = {}) {
  const ts = HOUR_MS + seq * 30_000;
  const said = { site: 'a', boot: FIRST_BOOT, seq, ts, receivedAtMs: ts + 100, score: 90 };
  return policyRow(said, policyStatus({ rules: [{ rule: 'api', hits: total, probeHits: 1 }], ...part }));
}

function flow(seq: number, connections: number, atMs = HOUR_MS + seq * 30_000): RowOf<'flow'> {
  return {
    site: 'a',
    boot: FIRST_BOOT,
    seq,
    ts: atMs,
    received_at: atMs + 100,
    workload: 'checkout',
    direction: 'egress',
    address: '192.0.2.9',
    name: 'api.example',
    port: 443,
    protocol: 'TCP',
    verdict: 'allowed',
    connections,
  };
}

async function minutes(store: Store): Promise<unknown[]> {
  const rows = await store.query<{ hits: number | null; hits_total: number; generation: number }>(
    "SELECT * FROM plumbline.rule_hits_minute WHERE site = 'a' ORDER BY minute",
  );
  return rows.map((row) => [row.generation, row.hits_total, row.hits]);
}

test('hits of a minute are what the total grew by, from zero where the counting began anew, whatever is inserted again', () =>
  withStore(async (store) => {
    const rows = [
      hits(0, 5),
      hits(1, 8),
      hits(2, 9),
      hits(3, 12),
      // A minute without a report, then a reset, then another generation.
      hits(6, 20),
      hits(8, 2, { counterEpoch: 1 }),
      hits(10, 4, { generation: 43, counterEpoch: 1 }),
    ];
    await store.insert('policy_report', rows);
    await store.insert('policy_report', rows.slice(0, 3));
    expect(await minutes(store)).toEqual([
      [42, 8, null],
      [42, 12, 4],
      [42, 20, 8],
      [42, 2, 2],
      [43, 4, 4],
    ]);
  }));

test('connections of an hour are what the total grew by, one that began again from zero, whatever is inserted again', () =>
  withStore(async (store) => {
    const rows = [flow(0, 5), flow(1, 9), flow(2, 3), flow(3, 4), flow(121, 10), flow(122, 11)];
    await store.insert('flow', rows);
    await store.insert('flow', rows.slice(1));
    const seen = await store.query<{ connections: number; connections_total: number; name: string }>(
      'SELECT name, connections, connections_total FROM plumbline.flows_hour ORDER BY hour',
    );
    expect(seen).toEqual([
      { name: 'api.example', connections: 8, connections_total: 4 },
      { name: 'api.example', connections: 1, connections_total: 11 },
    ]);
  }));
