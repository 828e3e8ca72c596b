import { rolloutName } from '../core/model/rollout.ts';
import type { SiteEvidence, StageQuestion, StageVerdict } from '../core/policy/evidence.ts';
import { SETTLED_AFTER_MS, type Evidence as StoredEvidence } from './evidence/evidence.ts';
import type { Registry } from './registry.ts';
import { type RolloutSpec, stageOf } from './rollout/assigned.ts';
import { withoutGeneration } from './rollout/members.ts';
import { newRules, stageQuestion } from './rollout/question.ts';
import type { Publisher } from './signing/publisher.ts';

/** Where evidence comes from, and where what was made of it is kept. Both reject with a StoreError when the store is away. */
export type Evidence = Pick<StoredEvidence, 'gather' | 'record' | 'settled' | 'firstSeen'>;
export type Verify = (question: StageQuestion, evidence: readonly SiteEvidence[]) => StageVerdict;

/** What is asked of sites that a stage is not about, to tell its doing from that of the weather. */
const CONTROL_SITES = 500;
/** A bound of 100 is none: nobody has to be compared with. */
const NO_BOUND = 100;
/** A verdict on which nothing is done while it stays the same is kept this often, so that there is a record of what it rests on. */
const RECORD_EVERY_MS = 60_000;
/** As often of a stage that waits for a person: it has passed, or its rollout is paused. */
const RECORD_WAITING_EVERY_MS = 600_000;
/** When only some site's verdict or reasons changed, a stage of so many sites has no record earlier for it; smaller ones do. */
const RECORD_SITES = 3_000;
/** And one about sites that come late, which nobody waits for, this often. */
const RECORD_LATE_EVERY_MS = 3_600_000;

/** What was recorded last, and when. */
export type Recorded = { text: string; atMs: number };
export type LateVerdict = { verdict: StageVerdict; decidedAtMs: number; recorded: Recorded | null };

type EvaluationOptions = {
  evidence: Evidence;
  verify: Verify;
  registry: Registry;
  publisher: Publisher;
};

/** Asks for the evidence of a stage, has it judged, and keeps both before anybody acts on them. */
export class Evaluation {
  readonly #given: EvaluationOptions;
  /** By policy, what was recorded last and when. */
  readonly #recorded = new Map<string, Recorded & { verdict: string }>();

  constructor(given: EvaluationOptions) {
    this.#given = given;
  }

  /**
   * Of what the hub had received a few seconds ago, all of which is in the store by now. Null while the stage's target is
   * not decided on, or nothing can have come since.
   */
  async evaluate(
    spec: RolloutSpec,
    sites: string[],
    minSoakMs: number,
    nowMs: number,
  ): Promise<StageVerdict | null> {
    const { evidence, verify } = this.#given;
    const decidedAtMs = nowMs - SETTLED_AFTER_MS;
    const newRules = this.#newRules(spec);
    if (newRules === null) return null;
    const plain = stageQuestion(spec, { sites, newRules, minSoakMs, controlDrop: null, decidedAtMs });
    if (plain === null || plain.startedAtMs >= decidedAtMs) return null;
    const question = { ...plain, controlDrop: await this.#controlDrop(spec, plain) };
    const found = await evidence.gather(question);
    const verdict = verify(question, found);
    await this.#record(spec, question, verdict, found);
    return verdict;
  }

  /**
   * The same of sites that have the stage's generation since it was promoted, from reports received after `sinceMs`. One that
   * settles is recorded at once; the others seldom, since nothing hangs on them.
   */
  async evaluateLate(
    spec: RolloutSpec,
    asked: { sites: string[]; sinceMs: number; minSoakMs: number; recorded: Recorded | null },
    nowMs: number,
  ): Promise<LateVerdict | null> {
    const { evidence, verify } = this.#given;
    const { sites, sinceMs, minSoakMs, recorded } = asked;
    const decidedAtMs = nowMs - SETTLED_AFTER_MS;
    const newRules = this.#newRules(spec);
    if (newRules === null) return null;
    const plain = stageQuestion(spec, { sites, newRules, minSoakMs, controlDrop: null, decidedAtMs });
    if (plain === null || sinceMs >= decidedAtMs) return null;
    const ranged = { ...plain, startedAtMs: sinceMs };
    const question = { ...ranged, controlDrop: await this.#controlDrop(spec, ranged) };
    const found = await evidence.gather(question);
    const verdict = verify(question, found);
    const text = textOf(question, verdict);
    const sinceRecordMs = recorded === null ? Number.POSITIVE_INFINITY : decidedAtMs - recorded.atMs;
    const isDue =
      verdict.sites.some((one) => one.verdict !== 'inconclusive') ||
      sinceRecordMs >= (recorded?.text === text ? RECORD_LATE_EVERY_MS : RECORD_EVERY_MS);
    if (isDue) await evidence.record(question, verdict, found, decidedAtMs, plain.startedAtMs);
    return { verdict, decidedAtMs, recorded: isDue ? { text, atMs: decidedAtMs } : recorded };
  }

  /** What something is done on is always recorded, whole: a fail, and a pass of a stage that goes on with it. */
  async #record(
    spec: RolloutSpec,
    question: StageQuestion,
    verdict: StageVerdict,
    found: readonly SiteEvidence[],
  ): Promise<void> {
    const policy = `${spec.policy.kind}/${spec.policy.name}`;
    const text = textOf(question, verdict);
    const last = this.#recorded.get(policy);
    const said = verdictOf(question, verdict);
    const isActedOn = verdict.verdict === 'fail' || (verdict.verdict === 'pass' && !waits(spec));
    const sinceMs = last?.verdict === said ? question.decidedAtMs - last.atMs : Number.POSITIVE_INFINITY;
    if (!isActedOn && sinceMs >= 0 && sinceMs < restMs(spec, question, last?.text !== text)) return;
    await this.#given.evidence.record(question, verdict, found, question.decidedAtMs);
    this.#recorded.set(policy, { verdict: said, text, atMs: question.decidedAtMs });
  }

  /** Null when what it brings is not known any more. */
  #newRules(spec: RolloutSpec): string[] | null {
    const { registry, publisher } = this.#given;
    const { kind, name } = spec.policy;
    const newest = registry.allowlist(name)?.spec;
    const after =
      newest?.generation === spec.generation
        ? newest.spec
        : publisher.spec(kind, name, spec.generation)?.spec;
    if (after === undefined) return null;
    const { virtualSite } = stageOf(spec).status;
    const base = spec.base.find((one) => one.virtualSite === virtualSite);
    const before = base === undefined ? null : publisher.spec(kind, name, base.generation);
    return newRules(after, before?.spec ?? null);
  }

  /** How far the scores of sites fell meanwhile that the generation has not come to. */
  async #controlDrop(spec: RolloutSpec, question: StageQuestion): Promise<number | null> {
    if (question.maxScoreDrop >= NO_BOUND) return null;
    const { registry, evidence } = this.#given;
    const own = new Set(question.sites);
    // One that is asked about late is told of as it was at an earlier stage; what is on its way says the rollout as it is.
    const rollout = registry.rollout(rolloutName(spec.policy.kind, spec.policy.name));
    const sites = withoutGeneration(rollout?.spec ?? spec, registry).filter((site) => !own.has(site));
    if (sites.length === 0) return null;
    const found = await evidence.gather({ ...question, sites: sites.slice(0, CONTROL_SITES) });
    const drops = found.flatMap(({ scoreBefore, scoreNow }) =>
      scoreBefore === null || scoreNow === null ? [] : [scoreBefore - scoreNow],
    );
    return drops.length === 0 ? null : drops.reduce((sum, drop) => sum + drop, 0) / drops.length;
  }
}

/** Whether nothing but a fail moves it on. */
function waits(spec: RolloutSpec): boolean {
  return spec.phase !== 'progressing' || stageOf(spec).status.phase === 'passed';
}

/** How long the last record of the same verdict stands for what is found now. */
function restMs(spec: RolloutSpec, { sites }: StageQuestion, isOther: boolean): number {
  const everyMs = waits(spec) ? RECORD_WAITING_EVERY_MS : RECORD_EVERY_MS;
  return isOther ? everyMs * Math.min(1, sites.length / RECORD_SITES) : everyMs;
}

function verdictOf({ version, startedAtMs }: StageQuestion, { verdict }: StageVerdict): string {
  return `${version.epoch}.${version.n} ${startedAtMs} ${verdict}`;
}

/** What a verdict says, by which it is told from another. */
function textOf({ version }: StageQuestion, { verdict, sites }: StageVerdict): string {
  const said = sites.map(
    ({ site, verdict: one, reasons }) => `${site} ${one} ${reasons.map(({ code }) => code).join(' ')}`,
  );
  return `${version.epoch}.${version.n} ${verdict} ${said.join(',')}`;
}
