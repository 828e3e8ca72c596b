import { beforeEach, describe, expect, test } from 'vitest';
import { nothingKnown } from '../../aggregator/known.ts';
import { createMemory, type Memory } from '../../aggregator/memory.ts';
import { admit, conclude } from '../../aggregator/pipeline.ts';
import { createRegistry } from '../../aggregator/registry.ts';
import type { PolicyReport, PolicyStatus } from '../../core/model/policy-report.ts';
import type { LogRecord } from '../../core/ports/log.ts';
import { DEFAULT_WEIGHTS } from '../../core/score/weights.ts';
import { policyReport, policyStatus } from '../parts/policy-report.ts';
import { report } from '../parts/report.ts';
import { BACKFILL, MASTER, recordOf, SPOOL_MAX_AGE_MS, silent, siteResource, viewOf } from './site.ts';

const site = siteResource('jp-tokyo-1');
const registry = createRegistry(viewOf({ [site.key]: site.value }), MASTER);

let memory: Memory;
beforeEach(() => {
  memory = createMemory(viewOf(), silent);
});

function take(...records: LogRecord[]) {
  return conclude(admit(records, registry, SPOOL_MAX_AGE_MS), nothingKnown(), memory, DEFAULT_WEIGHTS);
}
const saying = (seq: number, policy: Partial<PolicyReport>, part: Partial<LogRecord> = {}) =>
  recordOf(report({ seq, policy: policyReport(policy) }), part);
const standing = (seq: number, ...statuses: Partial<PolicyStatus>[]) =>
  saying(seq, { policies: statuses.map(policyStatus) });
const told = (record: LogRecord) => take(record).events.map(({ kind, message }) => `${kind}: ${message}`);

describe('rows', () => {
  test('a report gives a row for each policy, and the whole of what it says of it', () => {
    const { policies } = take(standing(1, {}, { name: 'ledger', phase: 'refused', reason: 'cuts hub' }));
    expect(policies).toMatchObject([
      {
        site: 'jp-tokyo-1',
        seq: 1,
        policy: 'payments',
        generation: 42,
        live: 1,
        rule: ['payments-api'],
        hits: [3],
      },
      { policy: 'ledger', phase: 'refused', seen_epoch: 1, seen_n: 7 },
    ]);
    expect(JSON.parse(policies[1]?.detail ?? '')).toMatchObject({ name: 'ledger', reason: 'cuts hub' });
  });

  test('a report gives a row for each flow', () => {
    const flow = {
      workload: 'checkout',
      direction: 'egress',
      address: '192.0.2.9',
      port: 443,
      protocol: 'TCP',
      verdict: 'allowed',
      connections: 12,
    } as const;
    const { flows } = take(saying(1, { flows: [flow, { ...flow, port: 444, name: 'api.example' }] }));
    expect(flows).toMatchObject([
      { site: 'jp-tokyo-1', seq: 1, address: '192.0.2.9', name: '', connections: 12 },
      { port: 444, name: 'api.example' },
    ]);
  });

  test('the same report again gives the same rows, also from the backfill', () => {
    const first = take(standing(1, {}));
    const again = take(standing(1, {}));
    expect(again.policies).toEqual(first.policies);
    expect(take(saying(0 + 1, {}, BACKFILL)).policies).toHaveLength(1);
  });

  test('figures beyond their columns are brought within, so that no report stops the batch', () => {
    const [row] = take(
      standing(1, {
        fullSets: Number.MAX_SAFE_INTEGER,
        workloads: Number.MAX_SAFE_INTEGER,
        seen: { epoch: 1e300, n: 1e300 },
      }),
    ).policies;
    expect([row?.full_sets, row?.workloads, row?.seen_epoch]).toEqual([0xffffffff, 0xffffffff, 0xffffffff]);
    expect(row?.seen_n).toBe(Number.MAX_SAFE_INTEGER);
  });

  test('two of one name are one row', () => {
    expect(take(standing(1, {}, {})).policies).toHaveLength(1);
  });

  test('what the policy probe lost is in the row, a failure of it as one more', () => {
    const probes = [
      { name: 'policy', ok: false, lost: 2 },
      { name: 'host', ok: true, lost: 1 },
    ];
    const [row] = take(recordOf(report({ probes, policy: policyReport() }))).policies;
    expect(row?.lost).toBe(3);
  });
});

describe('the state', () => {
  test('says where each policy stands, and whether enforcement is on', () => {
    take(standing(1, {}));
    expect(memory.of('jp-tokyo-1').state).toMatchObject({
      enforcement: 'on',
      policies: [{ kind: 'Allowlist', name: 'payments', generation: 42, phase: 'applied', live: true }],
    });
  });
});

describe('events', () => {
  test('an application is told once, and again with another generation or mode', () => {
    expect(told(standing(1, { phase: 'applying' }))).toEqual([]);
    expect(told(standing(2, {}))).toEqual([
      'policy.applied: Allowlist/payments generation 42 is in force (enforce)',
    ]);
    expect(told(standing(3, {}))).toEqual([]);
    expect(told(standing(4, { generation: 43, digest: 'e'.repeat(43) }))).toHaveLength(1);
    expect(told(standing(5, { generation: 43, digest: 'e'.repeat(43), mode: 'audit' }))).toHaveLength(1);
  });

  test('a refusal is told with its reason', () => {
    expect(told(standing(1, { phase: 'refused', reason: 'cuts hub' }))).toEqual([
      'policy.refused: Allowlist/payments generation 42 was refused: cuts hub',
    ]);
    expect(told(standing(2, { phase: 'refused', reason: 'cuts hub' }))).toEqual([]);
  });

  test('drift is told with its differences when it begins, and when it begins again', () => {
    take(standing(1, {}));
    const drifted = { live: false, drift: ['rule 3 of output is gone'] };
    expect(told(standing(2, drifted))).toEqual([
      'policy.drift: Allowlist/payments generation 42 is not what was applied: rule 3 of output is gone',
    ]);
    expect(told(standing(3, drifted))).toEqual([]);
    expect(told(standing(4, {}))).toEqual([]);
    expect(told(standing(5, drifted))).toHaveLength(1);
  });

  test('withdrawn, vanished and orphaned are told', () => {
    take(standing(1, {}, { name: 'ledger' }, { name: 'search' }));
    expect(
      told(standing(2, { phase: 'withdrawn', generation: 0 }, { name: 'ledger', phase: 'orphaned' })),
    ).toEqual([
      'policy.withdrawn: Allowlist/payments was withdrawn',
      'policy.orphaned: Allowlist/ledger generation 42 is in force, and the hub speaks of it no longer',
      'policy.withdrawn: Allowlist/search generation 42 is not there any more',
    ]);
    expect(told(standing(3, { phase: 'withdrawn' }, { name: 'ledger', phase: 'orphaned' }))).toEqual([]);
  });

  test('an owner who disarms and arms again is told', () => {
    const kinds = (seq: number, enforcement: 'on' | 'off' | 'disarmed') =>
      take(saying(seq, { enforcement, policies: [] })).events.map(({ kind }) => kind);
    expect(kinds(1, 'off')).toEqual([]);
    expect(kinds(2, 'on')).toEqual(['enforcement.armed']);
    expect(kinds(3, 'disarmed')).toEqual(['enforcement.disarmed']);
    expect(kinds(4, 'disarmed')).toEqual([]);
    expect(kinds(5, 'on')).toEqual(['enforcement.armed']);
  });

  test('a document that was refused is told once, however often reports repeat it, by an id of its own', () => {
    const refusal = {
      atMs: report().ts - 5000,
      key: 'default/Allowlist/payments',
      code: 'replayed',
      detail: 'older',
    };
    const policy = { policies: [], refusals: [refusal] };
    const { events } = take(saying(1, policy));
    expect(events).toMatchObject([
      {
        id: `policy.document-refused/jp-tokyo-1/default/Allowlist/payments/replayed/${refusal.atMs}`,
        at: refusal.atMs,
        severity: 'warning',
      },
    ]);
    expect(take(saying(2, policy)).events).toEqual([]);
    const later = { ...refusal, atMs: refusal.atMs + 1 };
    expect(take(saying(3, { policies: [], refusals: [later, refusal] })).events).toHaveLength(1);
  });

  test('what was taken back while the hub was away is told once, though it is in force again by the first report', () => {
    const refusal = {
      atMs: report().ts - 5000,
      key: 'default/Allowlist/payments',
      code: 'hub-away',
      detail: 'generation 42: timed out',
    };
    take(standing(1, { generation: 41 }));
    const again = { policies: [policyStatus({})], refusals: [refusal] };
    expect(take(saying(2, again)).events).toMatchObject([
      { kind: 'policy.applied' },
      {
        kind: 'policy.taken-back',
        at: refusal.atMs,
        severity: 'warning',
        message: 'default/Allowlist/payments was taken back (hub-away): generation 42: timed out',
      },
    ]);
    expect(take(saying(3, again)).events).toEqual([]);
  });

  test('a refusal with an impossible time is dated within a week of its receipt', () => {
    const at = (atMs: number, seq: number) =>
      take(saying(seq, { policies: [], refusals: [{ atMs, key: 'k', code: 'c', detail: 'd' }] })).events[0]
        ?.at;
    expect(at(0, 1)).toBe(report({ seq: 1 }).ts + 100 - 7 * 86_400_000);
    expect(at(Number.MAX_SAFE_INTEGER, 2)).toBe(report({ seq: 2 }).ts + 100);
  });

  test('what comes late from the spool tells nothing', () => {
    take(standing(2, {}));
    expect(take(saying(1, { enforcement: 'disarmed' }, BACKFILL)).events).toEqual([]);
  });
});
