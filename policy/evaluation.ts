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
/** A verdict that stays the same is kept this often, so that there is a record of what it rests on. */
const RECORD_EVERY_MS = 60_000;
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
  readonly #recorded = new Map<string, Recorded>();

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
    const asked = { sites, newRules: this.#newRules(spec), minSoakMs, controlDrop: null, decidedAtMs };
    const plain = stageQuestion(spec, asked);
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
    const rest = { sites, newRules: this.#newRules(spec), minSoakMs, controlDrop: null, decidedAtMs };
    const plain = stageQuestion(spec, rest);
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

  /** What decides something is always recorded: a verdict or reason that changed, and every one that is no `inconclusive`. */
  async #record(
    spec: RolloutSpec,
    question: StageQuestion,
    verdict: StageVerdict,
    found: readonly SiteEvidence[],
  ): Promise<void> {
    const policy = `${spec.policy.kind}/${spec.policy.name}`;
    const text = textOf(question, verdict);
    const last = this.#recorded.get(policy);
    const isDue = last?.text !== text || question.decidedAtMs - last.atMs >= RECORD_EVERY_MS;
    if (verdict.verdict === 'inconclusive' && !isDue) return;
    await this.#given.evidence.record(question, verdict, found, question.decidedAtMs);
    this.#recorded.set(policy, { text, atMs: question.decidedAtMs });
  }

  #newRules(spec: RolloutSpec): string[] {
    const { registry, publisher } = this.#given;
    const { kind, name } = spec.policy;
    const after = registry.allowlist(name)?.spec.spec;
    if (after === undefined) return [];
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

/** What a verdict says, by which it is told from another. */
function textOf({ version }: StageQuestion, { verdict, sites }: StageVerdict): string {
  const said = sites.map(
    ({ site, verdict: one, reasons }) => `${site} ${one} ${reasons.map(({ code }) => code).join(' ')}`,
  );
  return `${version.epoch}.${version.n} ${verdict} ${said.join(',')}`;
}
