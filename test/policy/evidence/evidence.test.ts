import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { verifyStage } from '../../../core/policy/verify.ts';
import type { Store } from '../../../core/ports/store.ts';
import { createEvidence, stageKey } from '../../../policy/evidence/evidence.ts';
import { withStore } from '../../contract/store-embedded.ts';
import { foldEvidence } from '../../parts/evidence-fold.ts';
import { type History, history, stage } from './histories.ts';

const SITES = 400;
const histories = Array.from({ length: SITES }, (_, i) => {
  const one = history(`site-${i}`, `evidence/${i}`);
  // Some report, and have nothing to say of the policy.
  return i % 50 === 49 ? { ...one, policies: [] } : one;
});
const asked = stage([...histories.map(({ site }) => site), 'site-unheard']);
const { decidedAtMs } = asked;

let store: Store;
let finish: () => void = () => {};
let open: Promise<void>;

beforeAll(async () => {
  await new Promise<void>((ready, failed) => {
    open = withStore((opened) => {
      store = opened;
      return insert(histories).then(() => {
        ready();
        return new Promise<void>((resolve) => {
          finish = resolve;
        });
      });
    });
    open.catch(failed);
  });
});
afterAll(() => {
  finish();
  return open;
});

async function insert(some: readonly History[]): Promise<void> {
  await store.insert(
    'report',
    some.flatMap(({ rows }) => rows),
  );
  await store.insert(
    'policy_report',
    some.flatMap(({ policies }) => [...policies]),
  );
  await store.insert(
    'quarantine',
    some.flatMap(({ quarantine }) => quarantine),
  );
}

describe('evidence from the store', () => {
  test('is what the recorded reports say, site by site, as a plain fold of them gives it', async () => {
    const gathered = await createEvidence({ store }).gather(asked);
    const folded = histories.map((one) => foldEvidence(asked, one.site, one));
    expect(gathered.map(({ site }) => site)).toEqual(asked.sites);
    for (const [at, one] of folded.entries()) expect(gathered[at], one.site).toEqual(one);
    expect(gathered.at(-1)).toMatchObject({ site: 'site-unheard', newest: null, reports: 0 });
  });

  test('has every kind of trouble in it, and sites without', () => {
    const folded = histories.map((one) => foldEvidence(asked, one.site, one));
    const having = (is: (one: (typeof folded)[number]) => boolean) => folded.filter(is).length;
    expect(having((one) => one.missing > 0)).toBeGreaterThan(20);
    expect(having((one) => one.boots > 1)).toBeGreaterThan(20);
    expect(having((one) => one.quarantined > 0)).toBeGreaterThan(5);
    expect(having((one) => one.hitsBefore.length > 0)).toBeGreaterThan(20);
    expect(having((one) => one.hitsBefore.length === 0)).toBeGreaterThan(20);
    expect(having((one) => one.unexpectedBefore > 0)).toBeGreaterThan(3);
    expect(having((one) => one.clockOffsetMs === null)).toBe(8);
    expect(having((one) => one.newest === null && one.scoreNow !== null)).toBe(8);
    for (const flaw of ['notLive', 'fullSets', 'decreases', 'lostObservations', 'unexpectedDenies'] as const)
      expect(having((one) => one.ever[flaw] > 0)).toBeGreaterThan(20);
    expect(having((one) => one.ever.counterEpochs > 1)).toBeGreaterThan(20);
  });

  test('is the same in pieces as at once, and for one site as for all', async () => {
    const evidence = createEvidence({ store });
    const [all, [one]] = await Promise.all([
      evidence.gather(asked),
      evidence.gather({ ...asked, sites: ['site-7'] }),
    ]);
    expect(one).toEqual(all[7]);
  });
});

describe('a recorded decision', () => {
  test('comes out again from the rows, also after later and repeated ones came, and names another version', async () => {
    const evidence = createEvidence({ store });
    const gathered = await evidence.gather(asked);
    const verdict = verifyStage(asked, gathered);
    await evidence.record(asked, verdict, gathered, decidedAtMs);
    await evidence.record(asked, verdict, gathered, decidedAtMs);
    const later = histories.map((one) => ({
      ...one,
      rows: one.rows.map((row) => ({ ...row, received_at: row.received_at + 3_600_000 })),
      policies: one.policies.map((row) => ({
        ...row,
        received_at: row.received_at + 3_600_000,
        hits: [9e6, 9e6],
      })),
      quarantine: one.quarantine.map((row) => ({ ...row, received_at: row.received_at + 3_600_000 })),
    }));
    await insert(later);
    const again = await evidence.recompute('Allowlist/payments');
    if (again?.outcome !== 'answered') throw new Error('it is expired');
    expect(again).toMatchObject({ same: true, decided: { decidedAtMs, verifierVersion: 1 } });
    expect(again?.decided.sites).toHaveLength(SITES + 1);
    expect(again?.again.verdict).toBe(verdict.verdict);
    expect(await evidence.recompute('Allowlist/payments', stageKey(asked), decidedAtMs)).toMatchObject({
      same: true,
    });
    expect(await evidence.recompute('Allowlist/payments', '1/0/0')).toBeNull();
    expect(await evidence.recompute('Allowlist/other')).toBeNull();
  });

  test('that the rows do not bear out is told apart, in its verdict, its reasons and any of its sites', async () => {
    const evidence = createEvidence({ store });
    const other = { verdict: 'pass' as const };
    for (const [at, wrong] of [
      other,
      { reasons: [] },
      { sites: [{ site: 'site-1', ...other, reasons: [] }] },
    ].entries()) {
      const question = { ...asked, startedAtMs: asked.startedAtMs + 1 + at, sites: ['site-1'] };
      const gathered = await evidence.gather(question);
      const verdict = verifyStage(question, gathered);
      expect(verdict.verdict).not.toBe('pass');
      await evidence.record(question, { ...verdict, ...wrong }, gathered, decidedAtMs);
      expect(await evidence.recompute('Allowlist/payments', stageKey(question)), `${at}`).toMatchObject({
        same: false,
      });
    }
  });

  test('that rests on reports which may be gone is not asked again, and says so', async () => {
    const evidence = createEvidence({ store });
    const gathered = await evidence.gather({ ...asked, sites: ['site-1'] });
    const nowMs = Date.now();
    const about = async (startedAtMs: number) => {
      const question = { ...asked, sites: ['site-1'], startedAtMs, decidedAtMs: startedAtMs + 615_000 };
      await evidence.record(question, verifyStage(question, gathered), gathered, question.decidedAtMs);
      return evidence.recompute('Allowlist/payments', stageKey(question));
    };
    // Scores of ten minutes before, an hour for clocks that are off, and three days that reports are kept.
    const lastMs = nowMs - 3 * 86_400_000 + 4_200_000;
    expect(await about(lastMs + 300_000)).toMatchObject({ outcome: 'answered' });
    const expired = await about(lastMs - 300_000);
    expect(expired).toEqual({
      outcome: 'expired',
      keptUntilMs: nowMs - 300_000,
      decided: expect.objectContaining({ decidedAtMs: lastMs + 315_000 }),
    });
  });

  test('is in the views that people read', async () => {
    const decisions = await store.query<{ rollout: string }>('SELECT * FROM plumbline.decisions');
    expect(decisions.map(({ rollout }) => rollout)).toContain('Allowlist/payments');
    const [row] = await store.query<{ sites: number }>(
      'SELECT uniqExact(site) AS sites FROM plumbline.rollout_evidence WHERE decided_at = fromUnixTimestamp64Milli({at:Int64})',
      { at: decidedAtMs },
    );
    expect(row?.sites).toBe(SITES + 1);
  });
});
