import { describe, expect, it } from 'vitest';
import { hashOf } from '../../../core/policy/desired-state.ts';
import { act } from '../../../policy/rollout/act.ts';
import { withAct } from '../../../policy/rollout/acts.ts';
import { coursesOf, type RolloutSpec, stageOf } from '../../../policy/rollout/assigned.ts';
import { type Seen, step } from '../../../policy/rollout/step.ts';
import { seedOf } from '../../../policy/rollout/threshold.ts';
import { MINUTE_MS, NOON, seen, standing, started } from './rollout-parts.ts';

/** Steps once for each thing seen, a minute apart, and gives where that leads and the kinds of what was told. */
function follow(from: RolloutSpec, sights: readonly Seen[], fromMs = NOON) {
  const told: string[] = [];
  let spec = from;
  let nowMs = fromMs;
  for (const sight of sights) {
    nowMs += MINUTE_MS;
    const stepped = step(spec, sight, nowMs);
    spec = stepped.spec;
    told.push(...stepped.told.map(({ kind }) => kind));
  }
  return { spec, told, nowMs, phase: `${spec.phase}/${stageOf(spec).status.phase}` };
}

const soaked = Array.from({ length: 11 }, () => seen('inconclusive'));
const promoted = (spec: RolloutSpec, nowMs = NOON) => {
  const acted = act(spec, 'promote', 'ada', nowMs);
  if (!acted.ok) throw new Error(acted.detail);
  return acted.spec;
};
const courses = (spec: RolloutSpec) =>
  coursesOf(spec).map(({ virtualSite, current, next, threshold }) => [
    virtualSite,
    current?.generation ?? null,
    next?.generation ?? null,
    threshold,
  ]);

describe('a stage', () => {
  it('rolls until every site that can be reached has it, soaks, and passes by its verdict alone', () => {
    const rolling = follow(started(), [
      seen(null, { sites: [standing('a'), standing('b', { isSettled: false })] }),
    ]);
    expect(rolling.phase).toBe('progressing/rolling');
    const soaking = follow(rolling.spec, [seen(null)]);
    expect(soaking.phase).toBe('progressing/soaking');
    expect(follow(soaking.spec, soaked).phase).toBe('progressing/soaking');
    const passed = follow(soaking.spec, [...soaked, seen('pass')]);
    expect(passed.phase).toBe('awaiting-promotion/passed');
    expect(passed.told).toEqual(['rollout.stage-passed']);
    expect(courses(passed.spec)).toEqual([
      ['test', null, 1, 65_536],
      ['prod', null, null, 0],
    ]);
  });

  it('does not pass before its soak is over, nor before the one that the guard asks for', () => {
    const early = follow(started(), [seen(null), ...Array.from({ length: 5 }, () => seen('pass'))]);
    expect(early.phase).toBe('progressing/soaking');
    const guarded = { ...seen('pass'), minSoakMs: 30 * MINUTE_MS };
    expect(follow(started(), [seen(null), ...soaked, guarded]).phase).toBe('progressing/soaking');
  });

  it('is not held up by a site that was away before it began', () => {
    const away = standing('b', {
      isReachable: false,
      isSettled: false,
      isApplied: false,
      isHeardSince: false,
    });
    expect(follow(started(), [seen(null, { sites: [standing('a'), away] })]).phase).toBe(
      'progressing/soaking',
    );
  });

  it('that fails is rolled back, and its content is known to have failed', () => {
    const failed = follow(started(), [seen(null), seen('fail')]);
    expect(failed.phase).toBe('rolled-back/rolled-back');
    expect(failed.told).toEqual(['rollout.stage-failed', 'rollout.rolled-back']);
    expect(failed.spec.failedDigests).toEqual([failed.spec.digest]);
    expect(courses(failed.spec)[0]).toEqual(['test', null, null, 0]);
    expect(failed.spec.version.n).toBe(2);
  });

  it('that fails is paused where the strategy says so, and stays as it is until somebody acts', () => {
    const strategy = { stages: [{ virtualSite: 'test' }], onFailure: 'pause' } as const;
    const failed = follow(started({ strategy: { ...strategy, stages: [...strategy.stages] } }), [
      seen(null),
      seen('fail'),
    ]);
    expect(failed.phase).toBe('paused/failed');
    expect(follow(failed.spec, soaked.concat(seen('pass'))).phase).toBe('paused/failed');
    expect(courses(failed.spec)[0]).toEqual(['test', null, 1, 65_536]);
    expect(act(failed.spec, 'resume', 'ada', NOON).ok).toBe(false);
    expect(act(failed.spec, 'rollback', 'ada', NOON).ok).toBe(true);
  });

  it('that passed can still fail until somebody promotes it', () => {
    const passed = follow(started(), [seen(null), ...soaked, seen('pass')]);
    expect(follow(passed.spec, [seen('fail')]).phase).toBe('rolled-back/rolled-back');
    const next = promoted(passed.spec);
    expect(follow(next, [seen('inconclusive')]).spec.promoted).toHaveLength(1);
  });

  it('that passed shows what it passed with, however its sites go on counting', () => {
    const passed = follow(started(), [seen(null), ...soaked, seen('pass')]);
    const later = seen('pass');
    const verdict = later.verdict === null ? null : { ...later.verdict, hits: 99, unexpectedDenies: 3 };
    const after = follow(passed.spec, [{ ...later, verdict }], passed.nowMs);
    expect(stageOf(after.spec).status).toEqual(stageOf(passed.spec).status);
  });

  it('fails also while somebody has it paused, but does not pass', () => {
    const acted = act(follow(started(), [seen(null), ...soaked]).spec, 'pause', 'ada', NOON);
    const paused = acted.ok ? acted.spec : started();
    expect(follow(paused, [seen('pass')]).phase).toBe('paused/soaking');
    expect(follow(paused, [seen('fail')]).phase).toBe('rolled-back/rolled-back');
  });

  it('without sites is paused, and so is one that comes to its deadline', () => {
    const empty = follow(started(), [seen(null, { sites: [] })]);
    expect(empty.phase).toBe('paused/rolling');
    expect(empty.spec.reason).toContain('no site is in test');
    const day = Array.from({ length: 24 * 60 }, () => seen('inconclusive'));
    const late = follow(started(), day);
    expect(late.phase).toBe('paused/soaking');
    expect(late.spec.reason).toContain('progressDeadline');
    expect(courses(late.spec)[0]).toEqual(['test', null, 1, 65_536]);
    const resumed = act(late.spec, 'resume', 'ada', late.nowMs);
    expect(resumed.ok && follow(resumed.spec, soaked, late.nowMs).phase).toBe('progressing/soaking');
  });

  it('goes on through its last one to the end, and moves what is current', () => {
    const passed = follow(started(), [seen(null), ...soaked, seen('pass')]);
    const prod = promoted(passed.spec, passed.nowMs);
    expect(courses(prod)).toEqual([
      ['test', 1, null, 0],
      ['prod', null, 1, 65_536],
    ]);
    const done = follow(prod, [seen(null), ...soaked, seen('pass')], passed.nowMs);
    expect(done.phase).toBe('completed/passed');
    expect(done.told).toEqual(['rollout.stage-passed', 'rollout.completed']);
    expect(courses(done.spec)).toEqual([
      ['test', 1, null, 0],
      ['prod', 1, null, 0],
    ]);
    expect(done.spec.version.n).toBe(3);
  });
});

describe('a newer generation', () => {
  it('takes the place of one that is on its way, and leaves what was promoted in force', () => {
    const passed = follow(started(), [seen(null), ...soaked, seen('pass')]);
    const prod = promoted(passed.spec, passed.nowMs);
    const newer = started({ generation: 2, before: prod, version: prod.version });
    expect(courses(newer)).toEqual([
      ['test', 1, 2, 65_536],
      ['prod', null, null, 0],
    ]);
    expect(newer.version.n).toBe(prod.version.n + 1);
    expect(stageOf(newer).status.version).toEqual(newer.version);
  });

  it('is not audited where that would stop enforcing the one before', () => {
    const strategy = {
      stages: [
        { virtualSite: 'test', mode: 'audit' as const },
        { virtualSite: 'test', mode: 'enforce' as const },
      ],
    };
    let first = follow(started({ strategy }), [seen(null), ...soaked, seen('pass')]);
    expect(stageOf(first.spec).status.mode).toBe('audit');
    first = follow(promoted(first.spec, first.nowMs), [seen(null), ...soaked, seen('pass')], first.nowMs);
    expect(first.spec.phase).toBe('completed');
    const second = started({ strategy, generation: 2, before: first.spec, version: first.spec.version });
    expect(second.stages.map(({ phase }) => phase)).toEqual(['skipped', 'rolling']);
    expect(coursesOf(second)[0]?.next?.mode).toBe('enforce');
  });
});

describe('maxConcurrency', () => {
  const strategy = { stages: [{ virtualSite: 'test', maxConcurrency: 2 }] };
  const names = Array.from({ length: 10 }, (_, i) => `site-${i}`);

  it('lets so many have it unconfirmed, and goes on as they confirm', () => {
    let spec = started({ strategy });
    const settled = new Set<string>();
    const reached = () => coursesOf(spec)[0]?.threshold ?? 0;
    const isReached = (site: string) => hash(site, spec) < reached();
    for (let round = 0; round < 20 && stageOf(spec).status.phase === 'rolling'; round++) {
      const sites = names.map((site) =>
        standing(site, { isSettled: settled.has(site), isApplied: settled.has(site) }),
      );
      spec = step(spec, seen(null, { sites }), NOON + round * 1000).spec;
      expect(names.filter((site) => isReached(site) && !settled.has(site)).length).toBeLessThanOrEqual(2);
      for (const site of names) if (isReached(site)) settled.add(site);
    }
    expect(settled.size).toBe(10);
    expect(stageOf(spec).status.phase).toBe('soaking');
  });

  it('stands still while those that have it do not confirm, also when they have gone silent since', () => {
    let spec = started({ strategy });
    const gone = (site: string) =>
      standing(site, { isReachable: false, isSettled: false, isApplied: false, isHeardSince: true });
    for (let round = 0; round < 5; round++)
      spec = step(spec, seen(null, { sites: names.map(gone) }), NOON + round * 1000).spec;
    expect(names.filter((site) => hash(site, spec) < spec.threshold)).toHaveLength(2);
    expect(stageOf(spec).status.phase).toBe('rolling');
  });
});

function hash(site: string, spec: RolloutSpec): number {
  return hashOf(site, seedOf(spec));
}

describe('a retry', () => {
  it('begins a stage that is stuck and its evidence anew, and takes nothing away from sites meanwhile', () => {
    const stuck = follow(started(), [seen(null), seen('inconclusive')]);
    expect(stuck.spec.stages[0]).toMatchObject({ hits: 10, counts: { sites: 2, inconclusive: 2 } });
    const later = NOON + 5 * MINUTE_MS;
    const again = act(stuck.spec, 'retry', 'ada', later);
    if (!again.ok) throw new Error(again.detail);
    const [before] = stuck.spec.stages;
    const [stage] = again.spec.stages;
    expect(before?.phase).toBe('soaking');
    expect(stage).toMatchObject({ phase: 'rolling', startedAtMs: later, hits: 0, unexpectedDenies: 0 });
    expect(stage?.counts).toMatchObject({ sites: 0, passed: 0, inconclusive: 0 });
    expect(stage?.version?.n).toBeGreaterThan(before?.version?.n ?? 0);
    expect(courses(again.spec)).toEqual(courses(stuck.spec));
  });
});

describe('who did what', () => {
  const done = ({ acts }: RolloutSpec) => acts.map(({ act: what, by, stage }) => [what, by, stage]);

  it('begins with who applied it, and tells what the hub did by itself once, with its reason', () => {
    const rolledBack = follow(started(), [seen(null), seen('fail'), seen('fail')]);
    expect(done(rolledBack.spec)).toEqual([
      ['apply', 'ada', 0],
      ['rollback', '', 0],
    ]);
    expect(rolledBack.spec.acts[1]).toMatchObject({ role: null, why: rolledBack.spec.reason });
    const newer = started({ generation: 2, before: rolledBack.spec, version: rolledBack.spec.version });
    expect(done(newer)).toEqual([...done(rolledBack.spec), ['apply', 'ada', 0]]);
  });

  it('keeps who applied the generation, however often it is paused, and says how many it left out', () => {
    const asker = { by: 'kim', role: 'author' } as const;
    let spec = started();
    for (let i = 0; i < 70; i++) spec = withAct(spec, { act: 'pause', atMs: NOON + i, ...asker });
    expect(spec.acts).toHaveLength(64);
    expect(spec.acts[0]).toMatchObject({ act: 'apply', by: 'ada' });
    expect(spec.acts.at(-1)?.atMs).toBe(NOON + 69);
    expect(spec.actsLeftOut).toBe(7);
  });
});
