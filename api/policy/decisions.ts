import { Compile } from 'typebox/compile';
import type { StoredDecision } from '../../core/model/policy-view.ts';
import type { Verdict } from '../../core/model/rollout.ts';
import { SiteEvidence, StageQuestion, type StageVerdict } from '../../core/policy/evidence.ts';
import type { Store } from '../../core/ports/store.ts';

/** Stages of which the newest decision is read, and sites of each. */
const STAGES_READ = 32;
const SITES_READ = 5_000;
const questions = Compile(StageQuestion);
const evidences = Compile(SiteEvidence);

/** Asks the rows that are stored the question of a decision again, while all are kept; null where none was recorded. */
export type Recompute = (
  rollout: string,
  stageKey: string,
  decidedAtMs: number,
) => Promise<
  { outcome: 'answered'; again: StageVerdict } | { outcome: 'expired'; keptUntilMs: number } | null
>;

const DECISIONS = `
  SELECT stage_key AS stageKey, toUnixTimestamp64Milli(max(decided_at)) AS decidedAtMs,
    argMax(verdict, decided_at) AS verdict, argMax(reason_text, decided_at) AS reasons,
    argMax(verifier_version, decided_at) AS verifierVersion, argMax(question, decided_at) AS question
  FROM plumbline.decision
  WHERE rollout = {rollout:String}
  GROUP BY stage_key ORDER BY decidedAtMs DESC LIMIT ${STAGES_READ}`;

/** What a decision rested on: of each site the newest evidence that was not later. */
const SITES = `
  SELECT site, argMax(verdict, decided_at) AS verdict, argMax(reason_code, decided_at) AS codes,
    argMax(reason_text, decided_at) AS texts, argMax(evidence, decided_at) AS evidence
  FROM plumbline.site_evidence
  WHERE rollout = {rollout:String} AND stage_key = {stageKey:String}
    AND decided_at <= fromUnixTimestamp64Milli({decidedAtMs:Int64})
  GROUP BY site ORDER BY site LIMIT ${SITES_READ}`;

type DecisionRow = {
  stageKey: string;
  decidedAtMs: number;
  verdict: Verdict;
  reasons: string[];
  verifierVersion: number;
  question: string;
};
type SiteRow = { site: string; verdict: Verdict; codes: string[]; texts: string[]; evidence: string };

/** The newest decision about each stage of a generation, newest first; `generation` 0 is the one decided about last. */
export async function readDecisions(
  store: Store,
  wanted: { rollout: string; generation: number },
  recompute: Recompute | null,
): Promise<StoredDecision[]> {
  const rows = await store.query<DecisionRow>(DECISIONS, { rollout: wanted.rollout });
  const newest = Number(rows[0]?.stageKey.split('/')[0] ?? 0);
  const decisions: StoredDecision[] = [];
  for (const row of rows) {
    const [generation = 0, stage = 0] = row.stageKey.split('/').map(Number);
    const question: unknown = JSON.parse(row.question);
    if (generation !== (wanted.generation || newest) || !questions.Check(question)) continue;
    const { stageKey, decidedAtMs, verdict, reasons, verifierVersion } = row;
    const sites = await readSites(store, wanted.rollout, row);
    const asked = recompute === null ? null : await recompute(wanted.rollout, stageKey, decidedAtMs);
    decisions.push({
      stageKey,
      generation,
      stage,
      decidedAtMs,
      verdict,
      reasons,
      verifierVersion,
      question,
      sites,
      sitesLeftOut: Math.max(0, question.sites.length - sites.length),
      ...(asked !== null && {
        recomputed: asked.outcome === 'expired' ? asked : comparison(verdict, sites, asked.again),
      }),
    });
  }
  return decisions;
}

async function readSites(store: Store, rollout: string, { stageKey, decidedAtMs }: DecisionRow) {
  const rows = await store.query<SiteRow>(SITES, { rollout, stageKey, decidedAtMs });
  return rows.map(({ site, verdict, codes, texts, evidence }) => {
    const value: unknown = JSON.parse(evidence);
    return {
      site,
      verdict,
      reasons: codes.map((code, i) => ({ code, text: texts[i] ?? '' })),
      evidence: evidences.Check(value) ? value : null,
    };
  });
}

function comparison(
  verdict: Verdict,
  sites: StoredDecision['sites'],
  again: StageVerdict,
): NonNullable<StoredDecision['recomputed']> {
  const before = new Map(sites.map((one) => [one.site, one.verdict]));
  const differences = again.sites.flatMap((one) => {
    const was = before.get(one.site);
    return was === undefined || was === one.verdict ? [] : [`${one.site}: was ${was}, now ${one.verdict}`];
  });
  if (again.verdict !== verdict) differences.unshift(`the stage: was ${verdict}, now ${again.verdict}`);
  const isSame = differences.length === 0;
  return { outcome: 'answered', verdict: again.verdict, isSame, differences: differences.slice(0, 100) };
}
