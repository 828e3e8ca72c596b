import Type, { type Static } from 'typebox';
import { Mode } from './allowlist.ts';
import { IntentKind } from './signed.ts';

const Count = Type.Integer({ minimum: 0 });

/**
 * What a policy would do at a site. `applies`: it selects workloads there and is enforced. `not-applicable`: it selects none.
 * `off` and `disarmed`: the site's owner holds it back. `unsupported`: the site has no dataplane for it. `unknown`: the site
 * has not said what it has.
 */
const PLANNED_OUTCOMES = ['applies', 'not-applicable', 'off', 'disarmed', 'unsupported', 'unknown'] as const;
export type PlannedOutcome = (typeof PLANNED_OUTCOMES)[number];

/** Something that keeps the document from being rolled out. `pointer` is into the document; `remedy` says what to do. */
const Violation = Type.Object({
  pointer: Type.String(),
  virtualSite: Type.String({ description: 'Whose guard or members it is about; empty when none' }),
  problem: Type.String(),
  remedy: Type.String(),
});
export type Violation = Static<typeof Violation>;

/** What applying a document would do, before anything is done: `POST /api/v1/policies/{kind}/{name}/plan`. */
export const Plan = Type.Object({
  kind: IntentKind,
  name: Type.String(),
  /** The generation it would become; the present one when the content is unchanged. */
  generation: Count,
  digest: Type.String(),
  effect: Type.Enum(['created', 'updated', 'unchanged']),
  stages: Type.Array(
    Type.Object({
      virtualSite: Type.String(),
      mode: Mode,
      /** Sites of the stage, those of earlier stages left out. */
      sites: Count,
      byOutcome: Type.Record(Type.String(), Count),
      /** 200 at most; what does not apply first. */
      shown: Type.Array(
        Type.Object({
          site: Type.String(),
          outcome: Type.Enum(PLANNED_OUTCOMES),
          dataplane: Type.String(),
          enforcement: Type.String(),
          workloads: Type.Array(Type.String()),
        }),
      ),
    }),
  ),
  /** What each stage changes in the dataplane, once for all sites at which it is the same. 16 at most. */
  differences: Type.Array(
    Type.Object({
      mode: Mode,
      /** Of the stages. */
      virtualSites: Type.Array(Type.String()),
      sites: Count,
      /** 3 of them. */
      examples: Type.Array(Type.String()),
      dataplane: Type.String(),
      workloads: Type.Array(Type.String()),
      /** Lines with `+ `, `- ` or `  ` in front. */
      lines: Type.Array(Type.String()),
      linesLeftOut: Count,
    }),
  ),
  differencesLeftOut: Count,
  /** Names, which are enforced by address, and what that opens besides. */
  names: Type.Array(
    Type.Object({ host: Type.String(), ports: Type.Array(Type.String()), opens: Type.String() }),
  ),
  /** Other allowlists that select the same workloads somewhere. */
  overlaps: Type.Array(
    Type.Object({
      policy: Type.String(),
      sites: Count,
      examples: Type.Array(Type.String()),
      workloads: Type.Array(Type.String()),
      /** It has a rollout on its way there, which must have passed or gone first. */
      busy: Type.Boolean(),
    }),
  ),
  violations: Type.Array(Violation),
  /** What holds wherever it is enforced, in words. */
  notes: Type.Array(Type.String()),
});
export type Plan = Static<typeof Plan>;
