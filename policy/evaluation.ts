import type { SiteEvidence, StageQuestion, StageVerdict } from '../core/policy/evidence.ts';
import { SETTLED_AFTER_MS, type Evidence as StoredEvidence } from './evidence/evidence.ts';
import type { Registry } from './registry.ts';
import { type RolloutSpec, stageOf } from './rollout/assigned.ts';
import { newRules, stageQuestion } from './rollout/question.ts';
import type { Publisher } from './signing/publisher.ts';

/** Where evidence comes from, and where what was made of it is kept. Both reject with a StoreError when the store is away. */
export type Evidence = Pick<StoredEvidence, 'gather' | 'record'>;
export type Verify = (question: StageQuestion, evidence: readonly SiteEvidence[]) => StageVerdict;

/** What is asked of sites that a stage is not about, to tell its doing from that of the weather. */
const CONTROL_SITES = 500;
/** A bound of 100 is none: nobody has to be compared with. */
const NO_BOUND = 100;
/** A verdict that stays the same is kept this often, so that there is a record of what it rests on. */
const RECORD_EVERY_MS = 60_000;

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
  readonly #recorded = new Map<string, { text: string; atMs: number }>();

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
    const question = { ...plain, controlDrop: await this.#controlDrop(plain) };
    const found = await evidence.gather(question);
    const verdict = verify(question, found);
    await this.#record(spec, question, verdict, found);
    return verdict;
  }

  /** What decides something is always recorded: a verdict or reason that changed, and every one that is no `inconclusive`. */
  async #record(
    spec: RolloutSpec,
    question: StageQuestion,
    verdict: StageVerdict,
    found: readonly SiteEvidence[],
  ): Promise<void> {
    const policy = `${spec.policy.kind}/${spec.policy.name}`;
    const sites = verdict.sites
      .map(({ site, verdict: one, reasons }) => `${site} ${one} ${reasons.map(({ code }) => code).join(' ')}`)
      .join(',');
    const text = `${question.version.epoch}.${question.version.n} ${verdict.verdict} ${sites}`;
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

  /** How far the scores of the other sites fell meanwhile. */
  async #controlDrop(question: StageQuestion): Promise<number | null> {
    if (question.maxScoreDrop >= NO_BOUND) return null;
    const own = new Set(question.sites);
    const sites = [...this.#given.registry.sites.keys()].filter((site) => !own.has(site));
    if (sites.length === 0) return null;
    const found = await this.#given.evidence.gather({ ...question, sites: sites.slice(0, CONTROL_SITES) });
    const drops = found.flatMap(({ scoreBefore, scoreNow }) =>
      scoreBefore === null || scoreNow === null ? [] : [scoreBefore - scoreNow],
    );
    return drops.length === 0 ? null : drops.reduce((sum, drop) => sum + drop, 0) / drops.length;
  }
}
