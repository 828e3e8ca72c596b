import { expect, test } from 'vitest';
import type { Verdict } from '../../../core/model/rollout.ts';
import type { SiteEvidence, StageVerdict } from '../../../core/policy/evidence.ts';
import { verifyStage } from '../../../core/policy/verify.ts';
import { createEvidence, stageKey } from '../../../policy/evidence/evidence.ts';
import { withStore } from '../../contract/store-embedded.ts';
import { history, stage } from './histories.ts';

const ROLLOUT = 'Allowlist/payments';
const histories = Array.from({ length: 40 }, (_, i) => history(`site-${i}`, `late/${i}`));
const asked = stage(histories.map(({ site }) => site));
const { startedAtMs, decidedAtMs } = asked;

test('sites are first seen with the first report that came with the target, or a later one, after the stage began', () =>
  withStore(async (store) => {
    await store.insert(
      'policy_report',
      histories.flatMap(({ policies }) => [...policies]),
    );
    const evidence = createEvidence({ store });
    const fromMs = startedAtMs + 100_000;
    const sites = [...asked.sites.slice(0, 30), 'unheard'];
    const seen = await evidence.firstSeen({
      kind: 'Allowlist',
      name: 'payments',
      version: asked.version,
      fromMs,
      sites,
    });
    const expected = histories.slice(0, 30).map(({ site, policies }) => {
      const those = policies.filter((row) => row.seen_n >= 7 && Number(row.received_at) > fromMs);
      return [site, Math.min(...those.map((row) => Number(row.received_at)))];
    });
    expect(Object.fromEntries(seen)).toEqual(Object.fromEntries(expected));
  }));

function judged(verdicts: Record<string, Verdict>): StageVerdict {
  const sites = Object.entries(verdicts).map(([site, verdict]) => ({
    site,
    verdict,
    reasons: verdict === 'fail' ? [{ code: 'refused', text: `${site} refused it` }] : [],
  }));
  return { verdict: 'inconclusive', reasons: [], sites, hits: 0, unexpectedDenies: 0 };
}

test('what was decided of a site when the stage was over, or as it passed, settles it; a fail most of all', () =>
  withStore(async (store) => {
    const evidence = createEvidence({ store });
    const none: SiteEvidence[] = [];
    const at = (offsetMs: number, verdicts: Record<string, Verdict>) => {
      const question = { ...asked, sites: Object.keys(verdicts), decidedAtMs: decidedAtMs + offsetMs };
      return evidence.record(question, judged(verdicts), none, question.decidedAtMs, startedAtMs);
    };
    await at(-10_000, { early: 'pass', other: 'fail' });
    await at(0, { passed: 'pass', early: 'inconclusive', flapping: 'fail', idle: 'not-applicable' });
    await at(20_000, { flapping: 'pass', late: 'fail' });
    await at(30_000, { late: 'fail', passed: 'inconclusive' });
    const settled = await evidence.settled(ROLLOUT, stageKey(asked), decidedAtMs);
    const fail = (site: string, offsetMs: number) => ({
      verdict: 'fail',
      decidedAtMs: decidedAtMs + offsetMs,
      reasons: [`${site} refused it`],
    });
    expect(Object.fromEntries(settled)).toEqual({
      passed: { verdict: 'pass', decidedAtMs, reasons: [] },
      idle: { verdict: 'not-applicable', decidedAtMs, reasons: [] },
      flapping: fail('flapping', 0),
      late: fail('late', 20_000),
    });
  }));

test('a decision about latecomers is found with its stage, leaves that its own, and comes out again', () =>
  withStore(async (store) => {
    await store.insert(
      'report',
      histories.flatMap(({ rows }) => rows),
    );
    await store.insert(
      'policy_report',
      histories.flatMap(({ policies }) => [...policies]),
    );
    const evidence = createEvidence({ store });
    const decide = async (sites: string[], sinceMs: number, lateOf?: number) => {
      const question = { ...asked, sites, startedAtMs: sinceMs, decidedAtMs: decidedAtMs + (lateOf ? 1 : 0) };
      const found = await evidence.gather(question);
      await evidence.record(question, verifyStage(question, found), found, question.decidedAtMs, lateOf);
    };
    await decide(asked.sites.slice(0, 30), startedAtMs);
    await decide(asked.sites.slice(30), startedAtMs + 60_000, startedAtMs);
    const own = await evidence.recompute(ROLLOUT, stageKey(asked));
    expect(own).toMatchObject({ same: true, decided: { decidedAtMs } });
    expect(own?.decided.sites).toHaveLength(30);
    const late = await evidence.recompute(ROLLOUT, `${stageKey(asked)}/late`);
    expect(late).toMatchObject({ same: true });
    expect(late?.decided.sites.map(({ site }) => site).sort()).toEqual(asked.sites.slice(30).sort());
    const [row] = await store.query<{ sites: number }>(
      'SELECT uniqExact(site) AS sites FROM plumbline.rollout_evidence WHERE stage_key = {key:String}',
      { key: stageKey(asked) },
    );
    expect(row?.sites).toBe(40);
  }));
