import { Compile } from 'typebox/compile';
import { VERDICTS, type Verdict } from '../../core/model/rollout.ts';
import { REPORTS_KEPT_DAYS } from '../../core/model/rows.ts';
import {
  type SiteEvidence,
  type SiteVerdict,
  StageQuestion,
  type StageVerdict,
  VERIFIER_VERSION,
} from '../../core/policy/evidence.ts';
import { verifyStage } from '../../core/policy/verify.ts';
import type { Store } from '../../core/ports/store.ts';
import { assemble, type NewestFound, nothingOf, type PolicyFound, type ReportFound } from './assemble.ts';
import {
  DECISION_SQL,
  NEWEST_SQL,
  POLICY_SQL,
  QUARANTINE_SQL,
  RECORDED_SQL,
  REPORT_SQL,
  reportsNeededFromMs,
} from './evidence-sql.ts';
import { firstSeen, type Settled, type Sighting, settledSites } from './late.ts';

/** So many reports a query, that it stays within a reader's memory, and so many sites, within the length of parameters. */
const REPORTS_PER_QUERY = 500_000;
const SITES_PER_QUERY = 1500;

const DAY_MS = 86_400_000;
/** The store drops no row while it is asked for, with much to spare. */
const ASKING_MS = 60_000;

const questionShape = Compile(StageQuestion);

/** A decision as it was recorded. */
export type Decided = {
  stageKey: string;
  decidedAtMs: number;
  verifierVersion: number;
  verdict: Verdict;
  reasons: string[];
  sites: SiteVerdict[];
};
export type Recomputed = { decided: Decided } & (
  | { outcome: 'answered'; again: StageVerdict; same: boolean }
  /** Reports that it rests on may be gone, without which another verdict could come out: none is given. */
  | { outcome: 'expired'; keptUntilMs: number }
);

/*
 * What the store has recorded about a stage, and what was decided from it.
 *
 * - `gather` reads what the hub had received by `decidedAtMs`. Rows come to the store a few seconds after their receipt, so
 *   ask about a moment that is SETTLED_AFTER_MS ago: then the same question has the same answer later.
 * - `record` keeps a decision with its question and its evidence; doing it again changes nothing.
 *   One about sites that came when the stage was over is filed under the stage that it is about, `lateOf` being when that
 *   began, and besides under a key of its own, so that the stage's own decision stays its newest.
 * - `settled` and `firstSeen` say what is known of such sites (late.ts).
 * - `recompute` asks the question of a recorded decision again, the newest of the rollout (as `Allowlist/payments`) unless
 *   told which. Null where nothing is recorded. Once the first report that it may rest on is past its time
 *   (REPORTS_KEPT_DAYS), the outcome is `expired`; the evidence that was recorded with the decision is kept longer.
 */
export interface Evidence {
  gather(question: StageQuestion): Promise<SiteEvidence[]>;
  record(
    question: StageQuestion,
    verdict: StageVerdict,
    evidence: readonly SiteEvidence[],
    decidedAtMs: number,
    lateOf?: number,
  ): Promise<void>;
  settled(rollout: string, stageKey: string, fromMs: number): Promise<Map<string, Settled>>;
  firstSeen(sighting: Sighting): Promise<Map<string, number>>;
  recompute(rollout: string, stageKey?: string, decidedAtMs?: number): Promise<Recomputed | null>;
}

/** How long after its receipt a report is in the store, with much to spare. */
export const SETTLED_AFTER_MS = 5000;

export function stageKey({
  generation,
  stage,
  startedAtMs,
}: Pick<StageQuestion, 'generation' | 'stage' | 'startedAtMs'>): string {
  return `${generation}/${stage}/${startedAtMs}`;
}

export function createEvidence({ store }: { store: Store }): Evidence {
  return {
    gather: (question) => gather(store, question),
    record: (question, verdict, evidence, decidedAtMs, lateOf) =>
      record(store, { ...question, decidedAtMs }, verdict, evidence, lateOf ?? null),
    settled: (rollout, stage, fromMs) => settledSites(store, rollout, stage, fromMs),
    firstSeen: (sighting) => firstSeen(store, sighting),
    recompute: (rollout, stage, decidedAtMs) => recompute(store, rollout, stage ?? '', decidedAtMs ?? 0),
  };
}

async function gather(store: Store, question: StageQuestion): Promise<SiteEvidence[]> {
  const sites = [...new Set(question.sites)];
  const size = await sitesPerQuery(store, question, sites.length);
  const evidence: SiteEvidence[] = [];
  for (let from = 0; from < sites.length; from += size)
    evidence.push(...(await gatherSome(store, question, sites.slice(from, from + size))));
  return evidence;
}

async function gatherSome(store: Store, question: StageQuestion, sites: string[]): Promise<SiteEvidence[]> {
  const { kind, name, version, generation, digest, mode, startedAtMs, decidedAtMs } = question;
  const range = { started: startedAtMs, decided: decidedAtMs, sites };
  const asked = { ...range, kind, name, epoch: version.epoch, n: version.n, generation, digest, mode };
  const newest = await store.query<NewestFound>(NEWEST_SQL, { ...range, kind, name });
  const found = await store.query<PolicyFound>(POLICY_SQL, asked);
  const boots = Map.groupBy(found, (one) => one.site);
  const reports = await store.query<ReportFound>(REPORT_SQL, { ...range, ...spansOf(boots) });
  const refused = await store.query<{ site: string; refused: number }>(QUARANTINE_SQL, range);
  const newestBySite = new Map(newest.map((one) => [one.site, one]));
  const refusedBySite = new Map(refused.map((one) => [one.site, one.refused]));
  const reportsBySite = Map.groupBy(reports, (one) => one.site);
  return sites.map((site) => {
    const quarantined = refusedBySite.get(site) ?? 0;
    const one = newestBySite.get(site);
    return one === undefined
      ? nothingOf(site, quarantined, reportsBySite.get(site))
      : assemble(one, boots.get(site) ?? [], reportsBySite.get(site) ?? [], quarantined);
  });
}

function spansOf(found: ReadonlyMap<string, readonly PolicyFound[]>) {
  const spans = [...found.values()].flatMap((boots) => {
    const began = boots.find((one) => one.began_reports > 0);
    return boots.map((one) => ({ ...one, beganBoot: began?.boot ?? '', beganSeq: began?.began[0] ?? 0 }));
  });
  return {
    spanSites: spans.map(({ site }) => site),
    boots: spans.map(({ boot }) => boot),
    froms: spans.map((one) => one.from_seq),
    tos: spans.map((one) => one.to_seq),
    beganBoots: spans.map(({ beganBoot }) => beganBoot),
    beganSeqs: spans.map(({ beganSeq }) => beganSeq),
  };
}

/** By how many reports of the stage there are on average; a site's own always fit, at an interval of a second for a day. */
async function sitesPerQuery(store: Store, question: StageQuestion, sites: number): Promise<number> {
  if (question.decidedAtMs - question.startedAtMs <= 3_600_000) return SITES_PER_QUERY;
  const { kind, name, startedAtMs, decidedAtMs } = question;
  const [row] = await store.query<{ reports: number }>(
    `SELECT count() AS reports FROM plumbline.policy_report
     WHERE policy = {name:String} AND policy_kind = {kind:String}
       AND ts >= fromUnixTimestamp64Milli({started:Int64}, 'UTC') AND ts <= fromUnixTimestamp64Milli({decided:Int64}, 'UTC')`,
    { kind, name, started: startedAtMs, decided: decidedAtMs },
  );
  const perSite = Math.max(1, (row?.reports ?? 0) / Math.max(1, sites));
  return Math.max(1, Math.min(SITES_PER_QUERY, Math.floor(REPORTS_PER_QUERY / perSite)));
}

async function record(
  store: Store,
  question: StageQuestion,
  verdict: StageVerdict,
  evidence: readonly SiteEvidence[],
  lateOf: number | null,
): Promise<void> {
  const bySite = new Map(evidence.map((one) => [one.site, one]));
  const ofStage = stageKey({ ...question, startedAtMs: lateOf ?? question.startedAtMs });
  const key = lateOf === null ? ofStage : `${ofStage}/late`;
  const shared = {
    rollout: `${question.kind}/${question.name}`,
    stage_key: key,
    decided_at: question.decidedAtMs,
  };
  const sites = verdict.sites.map((one) => ({
    ...shared,
    site: one.site,
    verdict: one.verdict,
    reason_code: one.reasons.map(({ code }) => code),
    reason_text: one.reasons.map(({ text }) => text),
    evidence: JSON.stringify(bySite.get(one.site) ?? nothingOf(one.site, 0)),
  }));
  const filed = lateOf === null ? [] : sites.map((one) => ({ ...one, stage_key: ofStage }));
  await store.insert('site_evidence', [...sites, ...filed]);
  // Last: a decision that is there has its evidence.
  await store.insert('decision', [
    {
      ...shared,
      verdict: verdict.verdict,
      reason_text: verdict.reasons.map(({ text }) => text),
      verifier_version: VERIFIER_VERSION,
      question: JSON.stringify(question),
    },
  ]);
}

type DecisionRow = {
  stage_key: string;
  decided_ms: number;
  verdict: string;
  reason_text: string[];
  verifier_version: number;
  question: string;
  now_ms: number;
};
type RecordedRow = { site: string; verdict: string; reason_code: string[]; reason_text: string[] };

async function recompute(
  store: Store,
  rollout: string,
  stage: string,
  at: number,
): Promise<Recomputed | null> {
  const [row] = await store.query<DecisionRow>(DECISION_SQL, { rollout, stage, at });
  if (row === undefined) return null;
  const question: unknown = JSON.parse(row.question);
  if (!questionShape.Check(question))
    throw new Error(`the decision on ${rollout} at ${row.decided_ms} has no question that can be read`);
  const recorded = await store.query<RecordedRow>(RECORDED_SQL, {
    rollout,
    stage: row.stage_key,
    at: row.decided_ms,
  });
  const decided = {
    stageKey: row.stage_key,
    decidedAtMs: row.decided_ms,
    verifierVersion: row.verifier_version,
    verdict: verdictOf(row.verdict),
    reasons: row.reason_text,
    sites: recorded.map(siteVerdict),
  };
  const keptUntilMs = reportsNeededFromMs(question.startedAtMs) + REPORTS_KEPT_DAYS * DAY_MS;
  if (row.now_ms + ASKING_MS > keptUntilMs) return { decided, outcome: 'expired', keptUntilMs };
  const again = verifyStage(question, await gather(store, question));
  return { decided, outcome: 'answered', again, same: isSame(decided, again) };
}

function siteVerdict({ site, verdict, reason_code: codes, reason_text: texts }: RecordedRow): SiteVerdict {
  return {
    site,
    verdict: verdictOf(verdict),
    reasons: codes.map((code, at) => ({ code, text: texts[at] ?? '' })),
  };
}

function verdictOf(text: string): Verdict {
  const verdict = VERDICTS.find((one) => one === text);
  if (verdict === undefined) throw new Error(`"${text}" is no verdict`);
  return verdict;
}

function isSame(decided: Decided, again: StageVerdict): boolean {
  const bySite = new Map(decided.sites.map((one) => [one.site, JSON.stringify(one)]));
  return (
    decided.verdict === again.verdict &&
    JSON.stringify(decided.reasons) === JSON.stringify(again.reasons.map(({ text }) => text)) &&
    decided.sites.length === again.sites.length &&
    again.sites.every((one) => {
      const { site, verdict, reasons } = one;
      const plain = { site, verdict, reasons: reasons.map(({ code, text }) => ({ code, text })) };
      return bySite.get(site) === JSON.stringify(plain);
    })
  );
}
