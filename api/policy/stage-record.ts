import { Compile } from 'typebox/compile';
import type { RuleHits } from '../../core/model/policy-view.ts';
import type { StageStatus, Verdict } from '../../core/model/rollout.ts';
import { type Reason, SiteEvidence, StageQuestion } from '../../core/policy/evidence.ts';
import { countedOf } from '../../core/policy/verify.ts';
import type { Store } from '../../core/ports/store.ts';

const questions = Compile(StageQuestion);
const evidences = Compile(SiteEvidence);

/** Stages of which what was read last is held: every open page asks every few seconds, and records come seldom. */
const HELD = 8;

const DECISION = `
  SELECT toUnixTimestamp64Milli(decided_at) AS decidedAtMs, verdict, reason_text AS reasons, question,
    (SELECT (toString(count()), toString(max(decided_at))) FROM plumbline.decision
      WHERE rollout = {rollout:String} AND stage_key = {late:String}) AS lateOnes
  FROM plumbline.decision
  WHERE rollout = {rollout:String} AND stage_key = {stageKey:String}
    AND toUnixTimestamp64Milli(decided_at) <= {untilMs:Int64}
  ORDER BY decided_at DESC LIMIT 1`;

/** Of that decision, and of later ones about sites that came late, which have keys of their own. */
const SITES = `
  SELECT site, argMax(e.verdict, decided_at) AS verdict, argMax(reason_code, decided_at) AS codes,
    argMax(reason_text, decided_at) AS texts, argMax(evidence, decided_at) AS evidence
  FROM plumbline.site_evidence AS e
  WHERE rollout = {rollout:String} AND stage_key = {stageKey:String}
    AND (decided_at = fromUnixTimestamp64Milli({decidedAtMs:Int64})
      OR decided_at > fromUnixTimestamp64Milli({decidedAtMs:Int64}) AND decided_at IN (
        SELECT decided_at FROM plumbline.decision WHERE rollout = {rollout:String} AND stage_key = {late:String}))
  GROUP BY site`;

/** When each first passed. */
const PASSED = `
  SELECT site, toUnixTimestamp64Milli(min(decided_at)) AS passedAtMs FROM plumbline.site_evidence
  WHERE rollout = {rollout:String} AND stage_key = {stageKey:String} AND verdict = 'pass'
  GROUP BY site`;

type DecisionRow = {
  decidedAtMs: number;
  verdict: Verdict;
  reasons: string[];
  question: string;
  lateOnes: unknown;
};
type SiteRow = { site: string; verdict: Verdict; codes: string[]; texts: string[]; evidence: string };

export type JudgedSite = {
  verdict: Verdict;
  reasons: Reason[];
  /** Null where the record has none that can be read. */
  evidence: SiteEvidence | null;
  hits: ReadonlyMap<string, number>;
  unexpectedDenies: number;
  passedAtMs: number | null;
};

/** The newest evaluation of a stage, as it was recorded: all that is shown of what its verdict counts comes from here. */
export type StageRecord = {
  decidedAtMs: number;
  verdict: Verdict;
  reasons: string[];
  question: StageQuestion;
  sites: ReadonlyMap<string, JudgedSite>;
};

export type StageRecords = {
  read(rollout: string, stageKey: string | null, stage: StageStatus | undefined): Promise<StageRecord | null>;
};

/** What a stage passed with stands, whatever is recorded of it later; others are asked for what is newest. */
export function createStageRecords(store: Store): StageRecords {
  const held = new Map<string, { version: string; record: StageRecord }>();
  return {
    async read(rollout, stageKey, stage) {
      if (stageKey === null) return null;
      const endedAtMs = stage?.phase === 'passed' ? stage.endedAtMs : null;
      const asked = { rollout, stageKey, late: `${stageKey}/late` };
      const untilMs = endedAtMs ?? Number.MAX_SAFE_INTEGER;
      const [row] = await store.query<DecisionRow>(DECISION, { ...asked, untilMs });
      if (row === undefined) return null;
      const key = `${rollout} ${stageKey}`;
      const version = `${row.decidedAtMs} ${JSON.stringify(row.lateOnes)}`;
      const known = held.get(key);
      if (known?.version === version) return known.record;
      const question: unknown = JSON.parse(row.question);
      if (!questions.Check(question)) return null;
      const { decidedAtMs, verdict, reasons } = row;
      const sites = await readSites(store, { ...asked, decidedAtMs }, question);
      const record = { decidedAtMs, verdict, reasons, question, sites };
      held.delete(key);
      held.set(key, { version, record });
      for (const oldest of [...held.keys()].slice(0, -HELD)) held.delete(oldest);
      return record;
    },
  };
}

async function readSites(
  store: Store,
  asked: { rollout: string; stageKey: string; late: string; decidedAtMs: number },
  question: StageQuestion,
): Promise<Map<string, JudgedSite>> {
  const { rollout, stageKey } = asked;
  const [rows, passed] = await Promise.all([
    store.query<SiteRow>(SITES, asked),
    store.query<{ site: string; passedAtMs: number }>(PASSED, { rollout, stageKey }),
  ]);
  const passedAtMs = new Map(passed.map((one) => [one.site, one.passedAtMs]));
  const sites = new Map<string, JudgedSite>();
  for (const { site, verdict, codes, texts, evidence: text } of rows) {
    const value: unknown = JSON.parse(text);
    const evidence = evidences.Check(value) ? value : null;
    const counted =
      evidence === null ? { hits: new Map(), unexpectedDenies: 0 } : countedOf(question, evidence);
    const reasons = codes.map((code, i) => ({ code, text: texts[i] ?? '' }));
    sites.set(site, { verdict, reasons, evidence, ...counted, passedAtMs: passedAtMs.get(site) ?? null });
  }
  return sites;
}

/** A stage as the record has it, so that it is of the same evaluation as its sites and rules. */
export function asRecorded(stage: StageStatus, record: StageRecord): StageStatus {
  const sites = [...record.sites.values()];
  let hits = 0;
  for (const site of sites) for (const some of site.hits.values()) hits += some;
  const unexpectedDenies = sites.reduce((sum, one) => sum + one.unexpectedDenies, 0);
  // Once it has passed, its counts are of what it passed with, and of those that came late.
  if (stage.phase === 'passed') return { ...stage, hits, unexpectedDenies };
  const count = (wanted: Verdict) => sites.filter(({ verdict }) => verdict === wanted).length;
  return {
    ...stage,
    verdict: record.verdict,
    reasons: record.reasons,
    counts: {
      ...stage.counts,
      passed: count('pass'),
      failed: count('fail'),
      inconclusive: count('inconclusive'),
      notApplicable: count('not-applicable'),
    },
    hits,
    unexpectedDenies,
    evaluatedAtMs: stage.evaluatedAtMs ?? record.decidedAtMs,
  };
}

/** By rule, what the verdict counted; connections of probes, which it does not count, are of the whole generation. */
export function ruleHitsOf({ question: { generation }, sites }: StageRecord): RuleHits[] {
  const rules = new Map<string, RuleHits>();
  for (const { hits, evidence } of sites.values())
    for (const { rule, probeHits } of evidence?.newest?.rules ?? []) {
      const own = hits.get(rule);
      if (own === undefined) continue;
      const known = rules.get(rule) ?? { generation, rule, hits: 0, probeHits: 0, sites: 0 };
      rules.set(rule, {
        ...known,
        hits: known.hits + own,
        probeHits: known.probeHits + probeHits,
        sites: known.sites + (own > 0 ? 1 : 0),
      });
    }
  return [...rules.values()].sort((a, b) => (a.rule < b.rule ? -1 : 1));
}
