import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Mode } from '../../../core/model/allowlist.ts';
import type { Verdict } from '../../../core/model/rollout.ts';
import { ROLLOUT_ACTIONS, type RolloutAction } from '../../../core/model/rollout.ts';
import { isOnItsWay } from '../../../core/policy/busy.ts';
import { act } from '../../../policy/rollout/act.ts';
import { coursesOf, type RolloutSpec, stageOf } from '../../../policy/rollout/assigned.ts';
import { step } from '../../../policy/rollout/step.ts';
import { NOON, seen, standing, started } from './rollout-parts.ts';

type Deed =
  | { kind: 'see'; verdict: Verdict | null; settled: boolean[]; afterMs: number }
  | { kind: 'act'; action: RolloutAction }
  | { kind: 'apply'; isSame: boolean };

const verdicts: (Verdict | null)[] = ['pass', 'fail', 'inconclusive', 'not-applicable', null];
const deed: fc.Arbitrary<Deed> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('see' as const),
      verdict: fc.constantFrom(...verdicts),
      settled: fc.array(fc.boolean(), { maxLength: 6 }),
      afterMs: fc.constantFrom(1_000, 60_000, 3_600_000),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant('act' as const), action: fc.constantFrom(...ROLLOUT_ACTIONS) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('apply' as const), isSame: fc.boolean() }) },
);

const strategy = fc.record({
  stages: fc.array(
    fc.record({
      virtualSite: fc.constantFrom('test', 'stage', 'prod'),
      mode: fc.constantFrom<Mode>('audit', 'enforce'),
      maxConcurrency: fc.constantFrom(1, 3, '50%', '100%'),
    }),
    { minLength: 1, maxLength: 4 },
  ),
  onFailure: fc.constantFrom('rollback' as const, 'pause' as const),
});

/** What happened to a stage that is on its way: whether the newest thing that its evidence said for good was a pass. */
type Proof = { key: string; hasPassed: boolean };

describe('whatever is seen and done, in whatever order', () => {
  it('nothing is promoted without a pass that no fail followed; versions rise with every change of what sites run', () => {
    fc.assert(
      fc.property(strategy, fc.array(deed, { maxLength: 60 }), (strategy, deeds) => {
        let spec = started({ strategy });
        let proof: Proof = { key: keyOf(spec), hasPassed: false };
        let generation = 1;
        let nowMs = NOON;
        for (const one of deeds) {
          const before = spec;
          if (one.kind === 'see') nowMs += one.afterMs;
          if (one.kind === 'apply') generation += one.isSame ? 0 : 1;
          spec = done(one, before, strategy, generation, nowMs);
          if (one.kind === 'see' && one.verdict === 'pass') proof = { ...proof, hasPassed: true };
          if (one.kind === 'see' && one.verdict === 'fail') proof = { ...proof, hasPassed: false };
          expectProven(before, spec, proof);
          expectVersioned(before, spec);
          if (keyOf(spec) !== proof.key) proof = { key: keyOf(spec), hasPassed: false };
        }
      }),
      { numRuns: 500 },
    );
  });

  it('content that failed is at no site again until somebody says retry', () => {
    fc.assert(
      fc.property(strategy, fc.array(deed, { maxLength: 60 }), (strategy, deeds) => {
        let spec = started({ strategy: { ...strategy, onFailure: 'rollback' } });
        let nowMs = NOON;
        for (const one of deeds) {
          if (one.kind === 'apply') continue;
          if (one.kind === 'see') nowMs += one.afterMs;
          spec = done(one, spec, strategy, 1, nowMs);
          const hasFailed = spec.failedDigests.includes(spec.digest);
          expect(hasFailed && isOnItsWay(spec)).toBe(false);
        }
      }),
      { numRuns: 300 },
    );
  });
});

function done(
  one: Deed,
  spec: RolloutSpec,
  strategy: RolloutSpec['strategy'],
  generation: number,
  nowMs: number,
): RolloutSpec {
  if (one.kind === 'apply')
    return started({ strategy, generation, before: spec, version: spec.version, nowMs });
  if (one.kind === 'act') {
    const acted = act(spec, one.action, 'ada', nowMs);
    return acted.ok ? acted.spec : spec;
  }
  const sites = one.settled.map((isSettled, i) => standing(`site-${i}`, { isSettled, isApplied: isSettled }));
  return step(spec, seen(one.verdict, { sites }), nowMs).spec;
}

function keyOf(spec: RolloutSpec): string {
  return `${spec.generation}/${spec.stage}/${stageOf(spec).status.startedAtMs}/${stageOf(spec).status.version?.n}`;
}

function expectProven(before: RolloutSpec, after: RolloutSpec, proof: Proof): void {
  const isPromoted = !isDeepStrictEqual(apartFromAttempts(before), apartFromAttempts(after));
  if (isPromoted) expect(proof.hasPassed).toBe(true);
  if (isPromoted) expect(proof.key).toBe(keyOf(before));
  const isFurther = after.generation === before.generation && after.stage > before.stage;
  if (isFurther && stageOf(before).status.phase !== 'skipped') expect(proof.hasPassed).toBe(true);
}

/** What is promoted where. A retry has sites try that again, and promotes nothing. */
function apartFromAttempts({ promoted }: RolloutSpec) {
  return promoted.map(({ assigned, ...rest }) => {
    const { attempt: _, ...what } = assigned;
    return { ...rest, assigned: what };
  });
}

function expectVersioned(before: RolloutSpec, after: RolloutSpec): void {
  expect(after.version.n).toBeGreaterThanOrEqual(before.version.n);
  if (!isDeepStrictEqual(coursesOf(before), coursesOf(after)))
    expect(after.version.n).toBeGreaterThan(before.version.n);
  if (isOnItsWay(after)) expect(stageOf(after).status.version).not.toBeNull();
}
