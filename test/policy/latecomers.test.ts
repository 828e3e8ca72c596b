import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { possibleActions } from '../../core/rollout-words.ts';
import type { Control } from '../../policy/control.ts';
import { stageKey } from '../../policy/evidence/evidence.ts';
import { newSite, until } from './control-parts.ts';
import { allowlist, move, openPolicyParts, SITES } from './policy-parts.ts';

type Parts = Awaited<ReturnType<typeof openPolicyParts>>;

describe('sites that come to a virtual site after it was promoted', () => {
  const sites: Record<string, Record<string, string>> = { ...SITES };
  let hub: Parts;
  let control: Control;
  beforeAll(async () => {
    hub = await openPolicyParts(sites);
    control = await hub.control();
    await hub.settle();
    await hub.ask(allowlist('payments', ['api.example']));
    await hub.reach('awaiting-promotion');
    await hub.ask(move('promote'));
    await hub.reach('completed', 1);
  });
  afterAll(() => hub.close());

  const prod = () => hub.rollout()?.spec.stages[1];
  /** What is recorded of sites under the stage of prod. */
  const recorded = () => {
    const startedAtMs = prod()?.startedAtMs ?? 0;
    return hub.fleet.recorded[stageKey({ generation: 1, stage: 1, startedAtMs })];
  };
  const pass = <T>(what: string, look: () => Promise<T | false> | T | false) =>
    until(what, async () => {
      const found = await look();
      if (found !== false) return found;
      hub.clock.advance(1000);
      await hub.say(...hub.fleet.states());
      return false;
    });
  const join = async (site: string) => {
    sites[site] = { env: 'prod' };
    await hub.ask(newSite(site, sites[site]));
  };

  it('have a verdict of their own, filed under the stage that was promoted', async () => {
    expect(prod()?.counts).toMatchObject({ sites: 2, passed: 2 });
    const target = await until('its last target', () => {
      const found = hub.target('payments');
      return found?.version.n === hub.rollout()?.spec.version.n && found;
    });
    await join('prod-3');
    await pass('prod-3 passed', () => recorded()?.get('prod-3')?.verdict === 'pass');
    await pass('it is counted', () => prod()?.counts.passed === 3);
    expect(prod()).toMatchObject({ phase: 'passed', counts: { sites: 3, passed: 3, inconclusive: 0 } });
    expect(hub.rollout()?.spec.phase).toBe('completed');
    expect(hub.target('payments')).toEqual(target);
  });

  it('are observed from when they came, and those that have a verdict are not asked about again', async () => {
    const about = hub.fleet.asked.filter((question) => question.sites.includes('prod-3'));
    expect(about.map((one) => one.sites)).toEqual(about.map(() => ['prod-3']));
    expect(Math.min(...about.map((one) => one.startedAtMs))).toBeGreaterThanOrEqual(prod()?.startedAtMs ?? 0);
    const asked = hub.fleet.asked.length;
    await hub.pass(60_000);
    expect(hub.fleet.asked.length).toBe(asked);
  });

  it('that are relabelled have one, too', async () => {
    sites['test-1'] = { env: 'prod' };
    expect(await hub.ask({ verb: 'site.label', site: 'test-1', labels: { env: 'prod' } })).toMatchObject({
      ok: true,
    });
    await pass('test-1 passed in prod', () => recorded()?.get('test-1')?.verdict === 'pass');
  });

  it('that fail are told of once, by name, and the others keep what they have; also for an owner that comes after', async () => {
    const version = hub.rollout()?.spec.version;
    hub.fleet.failing.add('prod-4');
    await join('prod-4');
    const events = await pass('the event', async () => {
      const found = await hub.events('rollout.site-failed');
      return found.length > 0 && found;
    });
    expect(events).toMatchObject([
      { site: 'prod-4', message: expect.stringContaining('let through before') },
    ]);
    await pass('it is counted', () => prod()?.counts.failed === 1);
    expect(prod()?.reasons[0]).toMatch(/^prod-4: /);
    expect(hub.rollout()?.spec).toMatchObject({ phase: 'completed', version });
    await control.stop();
    const asked = hub.fleet.asked.length;
    control = await hub.control();
    await join('prod-5');
    await pass('prod-5 passed', () => recorded()?.get('prod-5')?.verdict === 'pass');
    expect(hub.fleet.asked.slice(asked).flatMap((question) => question.sites)).not.toContain('prod-4');
    expect(await hub.events('rollout.site-failed')).toEqual(events);
    await pass('all are counted', () => prod()?.counts.passed === 5);
    expect(prod()?.counts).toMatchObject({ sites: 6, passed: 5, failed: 1 });
  });

  it('that failed are judged anew once it was tried again, which begins no stage; an owner that comes after knows it', async () => {
    const before = hub.rollout()?.spec;
    if (before === undefined) throw new Error('there is no rollout');
    expect(possibleActions(before)).toEqual(['retry']);
    hub.fleet.failing.clear();
    expect(await hub.ask(move('retry'))).toMatchObject({ ok: true });
    expect(prod()?.counts).toMatchObject({ passed: 5, failed: 0, inconclusive: 1 });
    await pass('prod-4 passed', () => prod()?.counts.passed === 6);
    await control.stop();
    const asked = hub.fleet.asked.length;
    control = await hub.control();
    await join('prod-6');
    await pass('prod-6 passed', () => prod()?.counts.passed === 7);
    expect(hub.fleet.asked.slice(asked).flatMap((question) => question.sites)).not.toContain('prod-4');
    expect(prod()).toMatchObject({ startedAtMs: before.stages[1]?.startedAtMs, counts: { failed: 0 } });
    expect(hub.rollout()?.spec.phase).toBe('completed');
    expect(possibleActions(hub.rollout()?.spec ?? before)).toEqual([]);
  });
});

describe('sites that come while a newer generation is on its way', () => {
  const sites: Record<string, Record<string, string>> = { ...SITES };
  let hub: Parts;
  let first: string;
  beforeAll(async () => {
    hub = await openPolicyParts(sites);
    await hub.control();
    await hub.settle();
    await hub.ask(allowlist('payments', ['api.example']));
    await hub.reach('awaiting-promotion');
    await hub.ask(move('promote'));
    const { spec } = await hub.reach('completed', 1);
    first = stageKey({ generation: 1, stage: 1, startedAtMs: spec.stages[1]?.startedAtMs ?? 0 });
    await hub.ask(allowlist('payments', ['api.example', 'ledger.example']));
    await hub.reach('awaiting-promotion');
  });
  afterAll(() => hub.close());

  const join = async (site: string, env: string) => {
    sites[site] = { env };
    await hub.ask(newSite(site, sites[site]));
  };
  const verdictOf = (site: string) =>
    until(`a verdict on ${site}`, async () => {
      const found = hub.fleet.recorded[first]?.get(site)?.verdict;
      if (found !== undefined) return found;
      hub.clock.advance(1000);
      await hub.say(...hub.fleet.states());
      return false;
    });
  const asked = (site: string) =>
    new Set(hub.fleet.asked.filter((one) => one.sites.includes(site)).map((one) => one.generation));

  it('are judged by what their virtual site was promoted to, where the newer one has not come yet', async () => {
    await join('prod-3', 'prod');
    expect(await verdictOf('prod-3')).toBe('pass');
    expect([...asked('prod-3')]).toEqual([1]);
    const question = hub.fleet.asked.findLast((one) => one.sites.includes('prod-3'));
    expect(question).toMatchObject({ generation: 1, stage: 1, newRules: ['api'], soakMs: 1000 });
    expect(hub.rollout()?.spec.stages[1]).toMatchObject({ phase: 'waiting', counts: { passed: 0 } });
  });

  it('are told of when they fail, with the generation that they failed', async () => {
    hub.fleet.failing.add('prod-4');
    await join('prod-4', 'prod');
    expect(await verdictOf('prod-4')).toBe('fail');
    await expect
      .poll(() => hub.events('rollout.site-failed'), { timeout: 30_000 })
      .toMatchObject([{ site: 'prod-4', message: expect.stringContaining('generation 1') }]);
    hub.fleet.failing.clear();
  });

  it('are of the stage on its way where they come to that', async () => {
    await join('test-2', 'test');
    await until('it is asked about', async () => {
      hub.clock.advance(10_000);
      await hub.say(...hub.fleet.states());
      return asked('test-2').size > 0;
    });
    expect([...asked('test-2')]).toEqual([2]);
  });

  it('are judged by it also once the newer one was rolled back there', async () => {
    await hub.ask(move('promote'));
    await hub.reach('progressing', 1);
    await hub.ask(move('rollback'));
    await join('prod-5', 'prod');
    expect(await verdictOf('prod-5')).toBe('pass');
  });
});
